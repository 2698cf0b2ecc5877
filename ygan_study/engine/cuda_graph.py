"""A training step recorded as one CUDA graph, and replayed."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class CapturedStep:
    """A training step as one CUDA graph: one launch instead of a thousand.

    step: trains once on its tensors and returns a tensor; parameters: all that it trains. The first
    calls are ordinary steps on a stream of their own, as capturing requires. Then the step is
    recorded, which executes nothing, and replayed, so that every call trains once. It has to be
    made anew where the state of an optimiser is replaced.
    """

    WARM_UP = 3

    def __init__(
        self, step: Callable[..., Tensor], parameters: Sequence[nn.Parameter], device: torch.device
    ):
        self.step, self.parameters, self.calls, self.graph = step, list(parameters), 0, None
        self.stream = torch.cuda.Stream(device)

    def __call__(self, *inputs: Tensor) -> Tensor:
        self.calls += 1
        if self.calls <= self.WARM_UP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                terms = self.step(*inputs)
            torch.cuda.current_stream().wait_stream(self.stream)
            return terms
        if not self.graph:
            self._capture(*inputs)
        for static, new in zip(self.inputs, inputs, strict=True):
            static.copy_(new)
        self.graph.replay()
        return self.terms

    def _capture(self, *inputs: Tensor) -> None:
        self.inputs = tuple(new.clone() for new in inputs)
        for parameter in self.parameters:
            parameter.grad = None  # so that the gradients are made in the graph's own memory
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.terms = self.step(*self.inputs)
