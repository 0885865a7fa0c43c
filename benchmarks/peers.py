"""PEERS: the same layers in ONNX Runtime, OpenVINO and JAX, where they are installed.

    python benchmarks/peers.py onnxruntime --threads 2     (kernels.py starts it, and asks in lines of JSON)

Each runs in a process of its own: its threads may spin as they like, its defaults stay as they are, and
nobody else is slowed by a pool that still waits for work. All get torch's weights and a batch [T, B, I] in
float32; every answer is compared with torch's before it is timed.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from elman.bench.cases import GATES, Case
from elman.bench.timing import THEIRS, take_turns

CLOSE = 1e-4
"""Largest difference from torch's output that is rounding."""

PAUSE = 0.2
"""Seconds between two that are timed: threads of the one before have stopped spinning then."""

# torch's gates in the order of ONNX: lstm i o f c of i f g o, gru z r h of r z n.
ONNX_GATES = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}

Run = Callable[[], Any]


def onnx_model(case: Case, layer: Any, *, streams: bool = False) -> bytes:
    """Give a layer as an ONNX model: x [T, B, I] to y [T, B, H].

    Args:
        case: its sizes; one layer, one direction.
        layer: torch's, whose weights are taken.
        streams: whether the state comes in and goes out as well (h0, c0; hn, cn).
    """
    from onnx import TensorProto, helper, numpy_helper

    order, hidden = ONNX_GATES[case.cell], case.hidden_size

    def weights(name: str) -> np.ndarray:
        value = getattr(layer, f"{name}_l0").detach().numpy()
        return value.reshape(GATES[case.cell], hidden, *value.shape[1:])[order].reshape(value.shape)

    bias = np.concatenate([weights("bias_ih"), weights("bias_hh")])
    numbers = {"w": weights("weight_ih")[None], "r": weights("weight_hh")[None], "b": bias[None]}
    names = ["h", "c"][: 2 if case.cell == "lstm" else 1]
    began = ["", *(f"{name}0" for name in names)] if streams else []
    ended = [f"{name}n" for name in names] if streams else []
    options = {"linear_before_reset": 1} if case.cell == "gru" else {}
    nodes = [
        helper.make_node(
            case.cell.upper(), ["x", "w", "r", "b", *began], ["all", *ended], hidden_size=hidden, **options
        ),
        helper.make_node("Squeeze", ["all", "axis"], ["y"]),
    ]
    made = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in numbers.items()]
    made.append(numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"))

    def tensor(name: str, shape: list[int]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state = [1, case.batch, hidden]
    inputs = [tensor("x", [case.steps, case.batch, case.input_size]), *(tensor(n, state) for n in began[1:])]
    outputs = [tensor("y", [case.steps, case.batch, hidden]), *(tensor(name, state) for name in ended)]
    graph = helper.make_graph(nodes, "layer", inputs, outputs, made)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def onnx_session(model: bytes, threads: int) -> Any:
    """Load a model into ONNX Runtime, for so many threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def with_onnxruntime(case: Case, layer: Any, x: np.ndarray, mode: str, threads: int) -> Run | None:
    """Give a call that runs the layer in ONNX Runtime, or one step of a stream that keeps its state."""
    if mode == "train":
        return None
    session = onnx_session(onnx_model(case, layer, streams=mode == "step"), threads)
    if mode == "inference":
        return lambda: session.run(["y"], {"x": x})[0]
    names = [each.name for each in session.get_inputs()][1:]
    feed = {"x": x} | {name: np.zeros((1, case.batch, case.hidden_size), np.float32) for name in names}

    def step() -> np.ndarray:
        output, *state = session.run(None, feed)
        feed.update(zip(names, state, strict=True))
        return output

    return step


def with_openvino(case: Case, layer: Any, x: np.ndarray, mode: str, threads: int) -> Run | None:
    """Give a call that runs the layer in OpenVINO; in float32, where its default may be bfloat16."""
    if mode != "inference":
        return None
    import openvino

    core = openvino.Core()
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(
        core.read_model(onnx_model(case, layer)), "CPU", options
    ).create_infer_request()
    return lambda: request.infer({0: x}, share_inputs=True, share_outputs=True)[0]


def jax_forward(cell: str) -> Callable[..., Any]:
    """Give the layer as JAX writes it: one product for the inputs of all steps, then a scan."""
    import jax
    import jax.numpy as jnp

    def step(weights: Any, state: Any, projected: Any) -> Any:
        hidden = state[0]
        sums = hidden @ weights["weight_hh"].T + weights["bias_hh"]
        if cell == "rnn":
            state = (jnp.tanh(projected + sums),)
        elif cell == "gru":
            xr, xz, xn = jnp.split(projected, 3, -1)
            hr, hz, hn = jnp.split(sums, 3, -1)
            update = jax.nn.sigmoid(xz + hz)
            state = ((1 - update) * jnp.tanh(xn + jax.nn.sigmoid(xr + hr) * hn) + update * hidden,)
        else:
            i, f, g, o = jnp.split(projected + sums, 4, -1)
            c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
            state = (jax.nn.sigmoid(o) * jnp.tanh(c), c)
        return state, state[0]

    def forward(weights: Any, x: Any) -> Any:
        projected = x @ weights["weight_ih"].T + weights["bias_ih"]
        zeros = jnp.zeros((x.shape[1], weights["weight_hh"].shape[1]), x.dtype)
        began = (zeros, zeros) if cell == "lstm" else (zeros,)
        return jax.lax.scan(lambda state, now: step(weights, state, now), began, projected)[1]

    return forward


def with_jax(case: Case, layer: Any, x: np.ndarray, mode: str, threads: int) -> Run | None:
    """Give a call that runs the layer in JAX, compiled, forward or with its gradients."""
    if mode == "step":
        return None
    import jax

    weights = {
        name.removesuffix("_l0"): jax.numpy.asarray(w.detach().numpy())
        for name, w in layer.named_parameters()
    }
    data, forward = jax.numpy.asarray(x), jax_forward(case.cell)
    upstream = jax.numpy.asarray(
        np.random.default_rng(0).standard_normal((*x.shape[:2], case.hidden_size), np.float32)
    )

    def train(weights: Any, data: Any, upstream: Any) -> Any:
        output, back = jax.vjp(forward, weights, data)
        return output, back(upstream)

    if mode == "inference":
        inference = jax.jit(forward)
        return lambda: jax.block_until_ready(inference(weights, data))
    training = jax.jit(train)
    return lambda: jax.block_until_ready(training(weights, data, upstream))[0]


PEERS: dict[str, Callable[[Case, Any, np.ndarray, str, int], Run | None]] = {
    "onnxruntime": with_onnxruntime,
    "openvino": with_openvino,
    "jax": with_jax,
}


def time_peer(name: str, case: Case, mode: str, threads: int, seconds: float) -> float | None:
    """Give the median seconds of one call; None where the peer cannot do this.

    Raises:
        ArithmeticError: its output is not torch's.
    """
    torch.manual_seed(0)
    layer = THEIRS[case.cell](case.input_size, case.hidden_size)
    x = torch.randn(case.steps, case.batch, case.input_size)
    run = PEERS[name](case, layer, x.numpy(), mode, threads)
    if run is None:
        return None
    with torch.no_grad():
        error = float(np.abs(np.asarray(run()) - layer(x)[0].numpy()).max())
    if not error < CLOSE:
        raise ArithmeticError(f"{name} differs from torch by {error} on {case}")
    return statistics.median(take_turns({name: run}, seconds, fewest=3)[name])


class Peer:
    """A peer in a process of its own; its interpreter is this one's.

    Args:
        name: a key of `PEERS`.
        threads: how many it may use.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        command = [sys.executable, __file__, name, "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version: str | None = self._listen()["version"]

    def _listen(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended without an answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, case: Case, mode: str, seconds: float) -> float | None:
        """Give the median seconds of one call, timed now; None where it cannot do this."""
        assert self.process.stdin is not None
        time.sleep(PAUSE)
        print(json.dumps([case, mode, seconds]), file=self.process.stdin, flush=True)
        answer: float | None = self._listen()["seconds"]
        time.sleep(PAUSE)
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def main() -> None:
    """Answer questions from standard input, a line of JSON each, until it ends."""
    parser = argparse.ArgumentParser(description="Time one peer; kernels.py starts this.")
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.name == "jax" and hasattr(os, "sched_setaffinity"):
        # JAX has no setting for it: its pool is as large as the cores that it may use.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    try:
        version = importlib.import_module(options.name).__version__
        if options.name != "jax":
            importlib.import_module("onnx")
    except ImportError:
        version = None
    print(json.dumps({"version": version}), flush=True)
    torch.set_num_threads(1)
    for line in sys.stdin:
        case, mode, seconds = json.loads(line)
        found = time_peer(options.name, Case(*case), mode, options.threads, seconds)
        print(json.dumps({"seconds": found}), flush=True)


if __name__ == "__main__":
    main()
