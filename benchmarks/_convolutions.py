"""Convolutions that a compiled program calls of cuDNN, as products of matrices."""

import math
import re
from typing import NamedTuple

from benchmarks._text import Text, arrays, read_text

KINDS = {
    "__cudnn$convForward": "forward",
    "__cudnn$convForwardGraph": "forward",
    "__cudnn$convBiasActivationForward": "forward, bias and ReLU",
    "__cudnn$convBackwardInput": "gradient of the input",
    "__cudnn$convBackwardFilter": "gradient of the kernel",
}
"""What a call computes, by its name in XLA."""


class Convolution(NamedTuple):
    """A convolution as a product of a [rows, depth] and a [depth, columns] matrix."""

    kind: str
    """Value of `KINDS`."""
    layout: str
    """Order of the dimensions of input, kernel and output: b batch, f features, i and o the kernel's, 01 space."""
    element: str
    """Type of the elements."""
    rows: int
    columns: int
    depth: float
    """Length of the sums; a mean for gradients of the input where strides leave gaps."""

    @property
    def operations(self) -> float:
        """Multiplications and additions."""
        return 2.0 * self.rows * self.columns * self.depth


def convolution(text: Text, name: str) -> Convolution | None:
    """The convolution that an instruction calls; None for any other instruction."""
    instruction = text.instructions[name]
    target = re.search(r'custom_call_target="([^"]*)"', instruction.rest)
    if not target or target[1] not in KINDS:
        return None
    kind = KINDS[target[1]]
    [layout] = re.findall(r"dim_labels=(\S+?_\S+?->\w+)", instruction.rest)
    of_input, _, of_output = re.split("_|->", layout)
    window = re.search(r"window=\{size=([\dx]+)", instruction.rest)
    points = math.prod(map(int, window[1].split("x"))) if window else 1
    (element, a), (_, b) = (arrays(text.instructions[operand].type)[0] for operand in instruction.operands[:2])
    _, result = arrays(instruction.type)[0]
    x, y = of_input.index("f"), of_output.index("f")
    if kind == "gradient of the kernel":
        return Convolution(kind, layout, element, b[y], points * a[x], math.prod(b) // b[y])
    if kind == "gradient of the input":
        rows = math.prod(result) // result[x]
        return Convolution(kind, layout, element, rows, result[x], math.prod(a) // a[y] * points * a[y] / rows)
    return Convolution(kind, layout, element, math.prod(result) // result[y], result[y], points * a[x])


def convolution_operations(text: str) -> float:
    """Multiplications and additions of all convolutions in the text of a compiled program, each called once."""
    program = read_text(text)
    return sum(c.operations for name in program.instructions if (c := convolution(program, name)))
