"""The laws of assigners, to try on one of your own (docs/assigners.md).

    from lad_jax.testing import check_assigner

    def test_nearest():
        check_assigner(make_nearest)

`LAWS` lists them: `LAWS["by_boxes"].says`. A law that is broken is a `BrokenLaw`, which says what was seen and what to
do about it.
"""

import difflib
from collections.abc import Callable, Iterable

from lad_jax.assign import Assigner
from lad_jax.assign.outside import assigner_from
from lad_jax.errors import InputError
from lad_jax.testing.laws import LAWS, Law
from lad_jax.testing.subject import Subject


class BrokenLaw(InputError):
    """An assigner that breaks a law. The message names the law, what was seen, and what to do."""


def check_assigner(assigner: Assigner | Callable[..., Assigner], *, laws: Iterable[str] = LAWS) -> None:
    """Check that an assigner obeys the laws, on two drawn pictures and random predictions: some seconds.

    What is not checked is whether its choice is any good.

    Args:
      assigner: an assigner; or the function that makes it, which is then called with the defaults of its options.
      laws: names of the laws that are checked; all by default.

    Raises:
      BrokenLaw: the first law that is broken.
      InputError: the function makes no assigner, or there is no law of a name.
    """
    if not isinstance(assigner, Assigner):
        assigner = assigner_from(assigner)
    check_laws(Subject(assigner), laws)


def check_laws(subject: Subject, laws: Iterable[str]) -> None:
    """Check that a subject obeys the laws of the given names.

    Raises:
      BrokenLaw: the first law that is broken.
      InputError: there is no law of a name.
    """
    for name in laws:
        if name not in LAWS:
            guess = difflib.get_close_matches(name, LAWS, n=1)
            hint = f" Did you mean {guess[0]!r}?" if guess else ""
            raise InputError(f"there is no law {name!r}.{hint} Known laws: {', '.join(LAWS)}.")
        law = LAWS[name]
        if seen := law.seen(subject):
            raise BrokenLaw(f"the assigner breaks the law {name!r}: {law.says}. Seen: {seen}. {law.remedy}")


__all__ = ["LAWS", "BrokenLaw", "Law", "Subject", "check_assigner", "check_laws"]
