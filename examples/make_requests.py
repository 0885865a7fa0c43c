"""Write train.conll and test.conll: requests to a travel desk, with a BIO tag on each word.

    python examples/make_requests.py FOLDER

The sentences are made up from patterns, so a model learns them in a minute; the cities of the test file are
not those of the training file, so it has to learn from what stands around them, and from their spelling.
"""

import random
import sys
from pathlib import Path

TRAIN_CITIES = (
    "Oslo Bergen Lisbon Porto Athens Vienna Graz Dublin Cork Warsaw Turin Milan Lyon Nantes Seville".split()
)
TRAIN_CITIES += ["New York", "San Jose", "Cape Town", "Buenos Aires", "Hong Kong", "Santa Cruz"]
TEST_CITIES = "Stavanger Coimbra Patras Salzburg Limerick Krakow Verona Bordeaux Granada".split()
TEST_CITIES += ["New Delhi", "San Diego", "Port Louis", "Santa Fe"]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday today tomorrow".split()
DAYS += ["next Monday", "next Friday", "the 3rd of May", "the 21st of June"]
KINDS = ["flight", "train", "bus", "night train", "direct flight"]
PATTERNS = [
    "book a {kind} from {from} to {to} on {day}",
    "I need a {kind} to {to} on {day} , leaving from {from}",
    "is there a {kind} from {from} to {to} ?",
    "how long is the {kind} to {to} from {from} ?",
    "show me every {kind} that leaves {from} on {day}",
    "{day} from {from} to {to} , please",
    "{from} to {to} on {day}",
    "what is the weather like in {to} on {day} ?",
]


def make_sentence(generator: random.Random, cities: list[str]) -> str:
    """Return one tagged sentence, a word and its tag a line."""
    start, end = generator.sample(cities, 2)
    values = {"from": start, "to": end, "day": generator.choice(DAYS), "kind": generator.choice(KINDS)}
    lines = []
    for piece in generator.choice(PATTERNS).split():
        if not piece.startswith("{"):
            lines.append(f"{piece}\tO")
            continue
        slot = piece.strip("{}")
        for position, word in enumerate(values[slot].split()):
            lines.append(f"{word}\t{'I' if position else 'B'}-{slot}")
    return "\n".join(lines)


def main() -> None:
    """Write both files into the folder named on the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(0)
    for name, count, cities in [("train.conll", 1500, TRAIN_CITIES), ("test.conll", 300, TEST_CITIES)]:
        sentences = [make_sentence(generator, cities) for _ in range(count)]
        (folder / name).write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
        print(f"{folder / name}: {count} sentences")


if __name__ == "__main__":
    main()
