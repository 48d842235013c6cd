"""What the records of a study say: means and spreads of its conditions, and differences with their intervals."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lad_jax.errors import InputError
from lad_jax.study.nouns import Comparison, Study
from lad_jax.study.records import Record
from lad_jax.study.runs import Key, StudyRun
from lad_jax.study.statistics import Difference, Verdict, difference, holm, over_pictures, verdict
from lad_jax.types import Network

Ranked = Mapping[tuple[str, int], Mapping[str, Record]]
"""Records by run and seed, and then by kind of machine, the one with the most records first."""


@dataclass(frozen=True)
class Trained:
    """Figures of a network that one condition has trained, one a seed."""

    label: str
    data: str
    network: Network
    aps: tuple[float, ...]
    """AP [0…100]."""
    ap50s: tuple[float, ...]
    """AP50 [0…100]."""
    seconds: tuple[float, ...]
    machines: dict[str, int]
    """Number of runs by kind of machine."""
    curves: tuple[tuple[tuple[float, float], ...], ...]
    """Epoch and AP of each evaluation, one curve a seed."""


@dataclass(frozen=True)
class Compared:
    """Differences of AP of a comparison [points], one a seed."""

    condition: str
    """Label of the condition, and that of its network where it trains several."""
    baseline: str
    data: str
    pairs: tuple[tuple[float, float], ...]
    """AP of condition and baseline by seed [0…100]."""
    machines: dict[str, int]
    """Number of pairs by kind of machine."""
    difference: Difference | None
    """Statistics over seeds; None of fewer than two pairs."""
    over_pictures: tuple[float, float] | None
    """Interval of the mean difference over resampled pictures, for these seeds; None where it was not recorded."""
    corrected_p: float = 1.0
    """Probability after Holm's correction."""
    verdict: Verdict | None = None
    """Word for the difference; None before the study has all its seeds."""


@dataclass(frozen=True)
class Report:
    """All that is known of a study."""

    question: str
    seeds: int
    runs: int
    """Number of runs that have a record."""
    hours: float
    """Time of their steps and evaluations [hours]."""
    trained: tuple[Trained, ...]
    compared: tuple[Compared, ...]


def make_report(study: Study, runs: Mapping[Key, StudyRun], records: Sequence[Record]) -> Report:
    """What the records say of a study.

    Holm's correction is over all comparisons of the study, also those without runs: their probability is 1. A verdict
    is given where a comparison has all the study's seeds.

    Raises:
      InputError: runs of a comparison were trained on different data.
    """
    ranked = _rank(records)
    compared = [_compare(study, c, data, runs, ranked) for data in study.data for c in study.comparisons]
    corrected = holm([c.difference.p if c.difference else 1.0 for c in compared])
    for i, (comparison, p) in enumerate(zip(compared, corrected, strict=True)):
        whole = comparison.difference if len(comparison.pairs) == study.seeds else None
        compared[i] = replace(comparison, corrected_p=p, verdict=verdict(whole, p) if whole else None)
    return Report(
        question=study.question,
        seeds=study.seeds,
        runs=len(records),
        hours=sum(record.seconds for record in records) / 3600,
        trained=tuple(_trained(study, runs, ranked)),
        compared=tuple(compared),
    )


def _rank(records: Sequence[Record]) -> Ranked:
    counts = Counter(record.machine for record in records)
    ranked: dict[tuple[str, int], dict[str, Record]] = {}
    for record in sorted(records, key=lambda record: (-counts[record.machine], record.machine)):
        ranked.setdefault((record.run, record.seed), {})[record.machine] = record
    return ranked


def _compare(study: Study, comparison: Comparison, data: str, runs: Mapping[Key, StudyRun], ranked: Ranked) -> Compared:
    names = (comparison.condition, comparison.baseline)
    networks = (comparison.network, comparison.baseline_network)
    pairs = []
    for seed in range(study.seeds):
        ours, theirs = (ranked.get((runs[data, name, seed].name, seed), {}) for name in names)
        machine = next((machine for machine in ours if machine in theirs), None)
        if machine:
            pairs.append((ours[machine], theirs[machine]))
    records = [record for pair in pairs for record in pair]
    for record in records:
        if record.data != records[0].data:
            raise InputError(
                f"{records[0].run}, seed {records[0].seed}, and {record.run}, seed {record.seed}, were trained on "
                "different data: delete the records of those whose data are not meant."
            )
    aps = np.array([[_percent(r, n, "AP") for r, n in zip(pair, networks, strict=True)] for pair in pairs])
    resampled = [[r.resampled.get(n) for r, n in zip(pair, networks, strict=True)] for pair in pairs]
    recorded = bool(pairs) and all(values for pair in resampled for values in pair)
    condition, baseline = (
        _label(study, name, network, runs[data, name, 0]) for name, network in zip(names, networks, strict=True)
    )
    return Compared(
        condition=condition,
        baseline=baseline,
        data=data,
        pairs=tuple((float(a), float(b)) for a, b in aps),
        machines=dict(Counter(ours.machine for ours, _ in pairs)),
        difference=difference(aps) if len(pairs) > 1 else None,
        over_pictures=over_pictures(100 * np.array(resampled, np.float64)) if recorded else None,
    )


def _trained(study: Study, runs: Mapping[Key, StudyRun], ranked: Ranked) -> Iterator[Trained]:
    for data in study.data:
        for name in study.conditions:
            run = runs[data, name, 0]
            found = [ranked.get((run.name, seed), {}) for seed in range(study.seeds)]
            records = [next(iter(by_machine.values())) for by_machine in found if by_machine]
            for network in run.options.roles.trained:
                yield Trained(
                    label=_label(study, name, network, run),
                    data=data,
                    network=network,
                    aps=tuple(_percent(record, network, "AP") for record in records),
                    ap50s=tuple(_percent(record, network, "AP50") for record in records),
                    seconds=tuple(record.seconds for record in records),
                    machines=dict(Counter(record.machine for record in records)),
                    curves=tuple(tuple((e, 100 * ap) for e, ap in record.curve[network]) for record in records),
                )


def _label(study: Study, name: str, network: Network, run: StudyRun) -> str:
    """Name of a condition, with that of the network where the condition trains several."""
    label = study.conditions[name].label
    return f"{label} ({network})" if len(run.options.roles.trained) > 1 else label


def _percent(record: Record, network: Network, metric: str) -> float:
    return 100 * record.metrics[network][metric]
