"""The scopes that the instructions of a compiled program were traced in: of `jax.named_scope` and of flax modules."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache

from benchmarks._text import Text


def scopes_of(text: Text) -> dict[str, str]:
    """Path of the scopes of each instruction, by name (`jit(step)/jvp(student)/Detector/backbone/…`).

    An instruction that the compiler made has none. A fusion then gets that of its last instruction with one. Any other,
    like a convolution's gradient that is a fusion of nothing with a name, gets that of its first user with one, or else
    of its first operand. Copies always get their operand's: those of weights and state keep what is about to be
    overwritten, and are no user's work.
    """
    users = defaultdict(list)
    for name, instruction in text.instructions.items():
        for operand in instruction.operands:
            users[operand].append(name)

    @cache
    def made_for(name: str) -> str:
        return _own(text, name) or _first(made_for, users[name])

    @cache
    def made_of(name: str) -> str:
        operands = text.instructions[name].operands
        return _own(text, name) or _first(made_of, [operand for operand in operands if operand in text.instructions])

    def scope(name: str) -> str:
        copies = text.instructions[name].opcode.startswith("copy")
        return made_of(name) if copies else made_for(name) or made_of(name)

    return {name: scope(name) for name in text.instructions}


def _own(text: Text, name: str) -> str:
    """Scope that an instruction was traced in; of a fusion without one that of its last instruction with one."""

    def traced(name: str) -> str:
        found = re.search(r'op_name="(jit\([^"]*)"', text.instructions[name].rest)
        return found[1] if found else ""

    return traced(name) or _first(traced, reversed(text.members[text.fused(name)]))


def _first(function: Callable[[str], str], names: Iterable[str]) -> str:
    """The first result that is not empty; empty where all are."""
    return next(filter(None, map(function, names)), "")
