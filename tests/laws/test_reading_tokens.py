"""Laws of reading tokens: a table of products gives what looking the vectors up gives, and its gradients."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from kernel_cases import Found, disagreement, odd_cases
from layer_cases import Case, cases, parts_of
from tolerances import SAME_AS_REFERENCE, SAME_AS_TABLE
from torch.nn.functional import embedding

import elman.nn
from elman.errors import ShapeError
from elman.kernels import cpu, use
from elman.nn.dropout import Regularisation
from elman.nn.embedding import TokenEmbedding, WordEmbedding
from elman.nn.encoder import Encoder
from elman.padded import Padded
from elman.patterns import generate
from elman.patterns.generate import LanguageModel

needs_kernels = pytest.mark.skipif(cpu.native is None, reason="the C++ kernels were not built")


def draw_tokens(case: Case, many: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(case.seed + 5)
    return torch.randint(0, many, (case.batch, case.steps), generator=random)


def read(case: Case, many: int, lengths, begin, *, looked_up: bool) -> Found:
    """Run a layer over tokens, forward and backward: outputs, and gradients of vectors, state and weights."""
    layer = case.make()
    dtype = torch.float64 if looked_up else case.dtype
    layer = layer.to(dtype)
    random = torch.Generator().manual_seed(case.seed + 6)
    vectors = (
        torch.randn(many, case.input_size, generator=random, dtype=case.dtype).to(dtype).requires_grad_()
    )
    state = None if begin is None else tuple(part.to(dtype).requires_grad_() for part in parts_of(begin))
    tokens = draw_tokens(case, many)
    tokens = tokens if case.batch_first else tokens.t()
    if looked_up:
        given = state if state is None or len(state) == 2 else state[0]
        output, final = layer(embedding(tokens, vectors), given, lengths=lengths)
        final = parts_of(final)
    else:
        output, final = layer.read_tokens(tokens, vectors, state, lengths=lengths)
    values = [output, *final]
    leaves = [vectors, *(state or ()), *layer.parameters()]
    upstream = [torch.arange(v.numel()).cos().to(dtype).view_as(v) for v in values]
    slopes = torch.autograd.grad(values, leaves, upstream, allow_unused=True, materialize_grads=True)
    return Found(values, list(slopes))


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@given(
    data=st.data(),
    many=st.integers(1, 40),
    cut=st.booleans(),
    start=st.sampled_from(["none", "given", "zero"]),
)
def test_a_table_gives_what_looking_vectors_up_gives(instructions, dtype, data, many, cut, start):
    case = data.draw(odd_cases(dtype))
    lengths = case.lengths().clamp(min=1) if cut else None
    begin = None if start == "none" else case.state()
    if begin is not None and start == "zero":
        begin = tuple(torch.zeros_like(part) for part in parts_of(begin))
    with use("cpu"):
        found = read(case, many, lengths, begin, looked_up=False)
    with use("reference"):
        expected = read(case, many, lengths, begin, looked_up=True)
    assert disagreement(found, expected) <= SAME_AS_TABLE[dtype]


@pytest.mark.parametrize("backend", ["torch", "reference"])
@given(case=cases(), many=st.integers(1, 9))
def test_every_backend_reads_tokens(backend, case, many):
    with use(backend):
        found = read(case, many, case.lengths(), case.state(), looked_up=False)
        expected = read(case, many, case.lengths(), case.state(), looked_up=True)
    assert disagreement(found, expected) <= SAME_AS_REFERENCE[torch.float64]


class Reader(torch.nn.Module):
    """A layer that is called with tokens."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, tokens, vectors):
        return self.layer.read_tokens(tokens, vectors, lengths=[3, 2])


@needs_kernels
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM", "LSTM projected"])
def test_gradients_and_gradients_of_them_equal_finite_differences(kind):
    case = Case(kind, 1, True, True, True, 2, 3, 3, input_size=2, hidden_size=3)
    reader, tokens = Reader(case.make()), draw_tokens(case, 4)
    names = [name for name, _ in reader.named_parameters()]

    def of(vectors, *weights):
        named = dict(zip(names, weights, strict=True))
        output, final = torch.func.functional_call(reader, named, (tokens, vectors))
        return output, *final

    leaves = [torch.randn(4, 2, dtype=torch.float64), *(weight.detach() for weight in reader.parameters())]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    with use("cpu"):
        assert torch.autograd.gradcheck(of, leaves)
        assert torch.autograd.gradgradcheck(of, leaves, fast_mode=True)


@needs_kernels
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("batch", [3, 23])
def test_the_number_of_threads_changes_no_byte(kind, batch):
    case = Case(kind, 1, True, True, True, batch, 95, 5, torch.float32, input_size=8, hidden_size=65)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with use("cpu"):
            run = read(case, 20, case.lengths(), case.state(), looked_up=False)
        found.append([*run.values, *run.slopes])
    assert all(torch.equal(*pair) for other in found[1:] for pair in zip(found[0], other, strict=True))


@pytest.mark.parametrize("backend", ["cpu", "torch"])
@pytest.mark.parametrize("token", [-1, 7])
def test_a_token_that_has_no_vector_is_refused(backend, token):
    if backend == "cpu" and cpu.native is None:
        pytest.skip("the C++ kernels were not built")
    layer = elman.nn.GRU(3, 4, batch_first=True)
    with use(backend), pytest.raises(IndexError):
        layer.read_tokens(torch.tensor([[0, token]]), torch.zeros(7, 3))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_tokens_of_32_bits_are_read(kind):
    case = Case(kind, 1, True, True, True, 3, 5, 5, input_size=4, hidden_size=6)
    layer, vectors, tokens = case.make(), torch.randn(7, 4, dtype=torch.float64), draw_tokens(case, 7)
    found, expected = (layer.read_tokens(each, vectors)[0] for each in (tokens.int(), tokens))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


def test_tokens_that_are_no_integers_are_refused():
    with pytest.raises(RuntimeError, match="indices"):
        elman.nn.GRU(3, 4).read_tokens(torch.ones(2, 2), torch.zeros(7, 3))


def test_tokens_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match="two dimensions"):
        elman.nn.GRU(3, 4).read_tokens(torch.tensor([1, 2]), torch.zeros(7, 3))


def test_one_mask_of_variational_dropout_lasts_for_all_steps():
    rules = Regularisation(dropout_kind="variational")
    layer = elman.nn.RNN(3, 64, 2, dropout=0.5, batch_first=True, regularisation=rules)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0.fill_(1.0)
        layer.weight_ih_l1.copy_(torch.eye(64))
    output, _ = layer.read_tokens(torch.zeros(2, 5, dtype=torch.long), torch.zeros(1, 3))
    assert 0 < (output == 0).double().mean() < 1
    assert torch.equal(output == 0, (output[:, :1] == 0).expand_as(output))


@pytest.mark.parametrize("dropout_kind", ["each-step", "variational"])
@pytest.mark.parametrize("initial_state", ["zeros", "random"])
def test_the_same_seed_drops_the_same_of_tokens_and_of_their_vectors(dropout_kind, initial_state):
    rules = Regularisation(dropout_kind=dropout_kind, weight_drop=0.5)
    layer = elman.nn.GRU(3, 8, 2, dropout=0.5, initial_state=initial_state, regularisation=rules).double()
    tokens, vectors = torch.randint(0, 4, (5, 2)), torch.randn(4, 3, dtype=torch.float64)
    torch.manual_seed(1)
    found, _ = layer.read_tokens(tokens, vectors)
    torch.manual_seed(1)
    expected, _ = layer(embedding(tokens, vectors))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("kind", ["trainable", "frozen", "one-hot"])
def test_a_language_model_learns_the_same_by_its_table(kind, monkeypatch):
    torch.manual_seed(0)
    size = None if kind == "one-hot" else 4
    words = WordEmbedding(TokenEmbedding(6, size, kind=kind))
    model = LanguageModel(words, Encoder(words.output_size, 8), num_outputs=6, dropout=0.0).double()
    tokens = Padded(torch.randint(0, 6, (5, 9)), torch.tensor([9, 4, 1, 7, 9]))

    class Batch:
        features, target = {"tokens": tokens}, tokens

    def slopes():
        model.zero_grad()
        loss = model.loss(Batch)
        loss.backward()
        return [loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]

    reads = []
    original = Encoder.read_tokens
    monkeypatch.setattr(Encoder, "read_tokens", lambda *given: reads.append(1) or original(*given))
    by_table = slopes()
    assert len(reads) == 1
    monkeypatch.setattr(generate, "STEPS_FOR_A_TOKEN", 1000)
    for found, expected in zip(by_table, slopes(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
    assert len(reads) == 1
    if kind == "trainable":
        assert by_table[1].shape == (6, 4) and by_table[1][0].abs().max() == 0  # the boundary stays


@pytest.mark.parametrize("where", ["input_layer", "encoder.layers", "input_layer.tokens"])
def test_who_watches_a_module_sees_it_called(where):
    words = WordEmbedding(TokenEmbedding(6, 4))
    model, seen = LanguageModel(words, Encoder(4, 8), num_outputs=6, dropout=0.0), []
    tokens = Padded(torch.randint(0, 6, (5, 9)), torch.full((5,), 9))

    class Batch:
        features, target = {"tokens": tokens}, tokens

    handle = model.get_submodule(where).register_forward_hook(lambda *call: seen.append(call))
    model.loss(Batch)
    handle.remove()
    assert len(seen) == 1


@pytest.mark.parametrize("where", ["input_dropout", "encoder.layers"])
@pytest.mark.parametrize("hook", ["register_full_backward_hook", "register_full_backward_pre_hook"])
def test_who_watches_gradients_of_a_module_sees_them(where, hook):
    words = WordEmbedding(TokenEmbedding(6, 4))
    model, seen = LanguageModel(words, Encoder(4, 8), num_outputs=6, dropout=0.0), []
    tokens = Padded(torch.randint(0, 6, (5, 9)), torch.full((5,), 9))

    class Batch:
        features, target = {"tokens": tokens}, tokens

    getattr(model.get_submodule(where), hook)(lambda module, *slopes: seen.append(slopes[-1][0].shape))
    model.loss(Batch).backward()
    assert [shape[:2] for shape in seen] == [(5, 9)]


def test_a_batch_without_tokens_is_refused():
    words = WordEmbedding(TokenEmbedding(6, 4))
    model = LanguageModel(words, Encoder(4, 8), num_outputs=6, dropout=0.0)
    tokens = Padded(torch.randint(0, 6, (5, 9)), torch.full((5,), 9))

    class Batch:
        features, target = {"spellings": tokens}, tokens

    with pytest.raises(ShapeError, match="the batch has no 'tokens', only spellings"):
        model.loss(Batch)
