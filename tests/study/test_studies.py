"""Studies as files: their runs, what is run next, records, and what a report says of them."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from lad_jax.errors import InputError
from lad_jax.run import checkpoint, environment
from lad_jax.study import Comparison, Condition, Study
from lad_jax.study.execute import lacking
from lad_jax.study.files import load_study
from lad_jax.study.plots import write_plots
from lad_jax.study.records import Record, make_record, read_records, write_record
from lad_jax.study.report import make_report
from lad_jax.study.runs import Key, StudyRun, in_order, make_runs
from lad_jax.study.tables import format_report

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.py"))
DEMO = "configs/demo.py:"
SMALL = Study(
    question="Does it help?",
    conditions={
        "teacher": Condition("T", f"{DEMO}teacher"),
        "paa": Condition("P", f"{DEMO}paa"),
        "lad": Condition("L", f"{DEMO}lad", "teacher"),
        "colad": Condition("C", f"{DEMO}colad"),
        "atss": Condition("A", f"{DEMO}atss"),
    },
    comparisons=(Comparison("lad", "paa"), Comparison("colad", "teacher", network="teacher")),
    seeds=4,
    first_seeds=2,
)


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def runs() -> dict[Key, StudyRun]:
    return make_runs(SMALL)


def record_of(run: StudyRun, machine: str = "one", ap: float = 40.0, **changes: Any) -> Record:
    networks = run.options.roles.trained
    values = dict(
        run=run.name, seed=run.seed, machine=machine, command=[], data="a", teacher="", versions={}, commit="",
        started="", seconds=1.0, metrics={n: {"AP": ap / 100, "AP50": 0.6} for n in networks},
        curve={n: [[1.0, ap / 200], [2.0, ap / 100]] for n in networks}, resampled={"student": [ap / 100] * 5},
    )  # fmt: skip
    return Record(**(values | changes))


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_each_study_builds(file: Path) -> None:
    """Its runs have names of their own, and every condition is trained with every seed, after those that it needs."""
    study = load_study(file)
    runs = make_runs(study)
    todo = lacking(list(in_order(study, runs)), [], "any")
    assert set(todo) == set(runs.values())
    assert len({(run.name, run.seed) for run in todo}) == len(todo)
    for run in todo:
        assert all(todo.index(other) < todo.index(run) for other in run.needs)
        assert (run.teacher is not None) == ("teacher" in run.options.roles.frozen)


def test_a_first_whole_comparison_comes_first(runs: dict[Key, StudyRun]) -> None:
    """Then the other, then what is trained for itself; then seed by seed."""
    todo = [(run.key[1], run.seed) for run in lacking(list(in_order(SMALL, runs)), [], "any")]
    first = [(name, seed) for seed in (0, 1) for name in ("teacher", "lad", "paa")]
    assert todo[:10] == [*first, ("colad", 0), ("colad", 1), ("atss", 0), ("atss", 1)]
    assert todo[10:] == [(name, seed) for seed in (2, 3) for name in ("teacher", "lad", "paa", "colad", "atss")]
    fewer = [(run.key[1], run.seed) for run in lacking(list(in_order(SMALL, runs, 1)), [], "any")]
    assert fewer == [pair for pair in todo if pair[1] == 0]


def test_only_what_is_not_there_is_run_and_pairs_are_of_one_kind_of_machine(runs: dict[Key, StudyRun]) -> None:
    def todo(*records: Record) -> list[tuple[str, int]]:
        pairs = [pair for pair in in_order(SMALL, runs) if {run.key[1] for run in pair} == {"lad", "paa"}]
        return [(run.key[1], run.seed) for run in lacking(pairs, records, "one") if run.seed == 0]

    lad, paa, teacher = (runs["", name, 0] for name in ("lad", "paa", "teacher"))
    assert todo(record_of(paa)) == [("teacher", 0), ("lad", 0)]
    # The teacher's record is there, but its weights may be gone: whether it is trained again, its folder decides.
    assert todo(record_of(paa), record_of(teacher)) == [("teacher", 0), ("lad", 0)]
    assert todo(record_of(paa), record_of(lad)) == []
    assert todo(record_of(paa, "two"), record_of(lad, "two")) == []
    assert todo(record_of(paa, "two"), record_of(lad)) == [("paa", 0)]


def test_the_digest_is_of_what_decides_the_result(runs: dict[Key, StudyRun]) -> None:
    def names(*arguments: str) -> dict[str, str]:
        return {name: run.name for (_, name, seed), run in make_runs(SMALL, arguments).items() if seed == 0}

    before = {name: run.name for (_, name, seed), run in runs.items() if seed == 0}
    for harmless in ("data.workers=1", "train.log_every=7", "evaluation.pictures=0", "mesh.data=1", "debug=True"):
        assert names(f"--config.{harmless}") == before
    for deciding in (
        *("optimizer.learning_rate=0.1", "train.epochs=9", "evaluation.postprocess.nms_iou=0.5", "train.eval_every=2"),
        *("data.val.annotations=a/b.json", "data.train.images=a", "model.backbone.pretrained=w.npz"),
    ):
        assert not set(names(f"--config.{deciding}").values()) & set(before.values())
    # The same file elsewhere, and another one.
    here, there, other = (names(f"--config.data.train.images={path}") for path in ("/a/b/c/d", "/e/c/d", "/a/b/c/e"))
    assert here == there != other
    # What only a teacher is changed by makes other runs of its students.
    changed = replace(SMALL, conditions=SMALL.conditions | {
        "teacher": replace(SMALL.conditions["teacher"], changes={"optimizer.warmup_steps": 51})})  # fmt: skip
    after = {name: run.name for (_, name, seed), run in make_runs(changed).items() if seed == 0}
    assert {name for name in after if after[name] != before[name]} == {"teacher", "lad"}


def test_a_run_can_start_from_anothers_detector(tmp_path: Path) -> None:
    """It is done after that one, from its newest checkpoint, and is another run wherever that one is."""

    def study(**changes: Any) -> dict[str, StudyRun]:
        conditions = {
            "first": Condition("F", f"{DEMO}atss", changes=changes),
            "plain": Condition("P", f"{DEMO}paa"),
            "tuned": Condition("T", f"{DEMO}paa", start="first"),
        }
        small = replace(SMALL, conditions=conditions, comparisons=(Comparison("tuned", "plain"),))
        runs = make_runs(small)
        todo = lacking(list(in_order(small, runs, 1)), [], "any")
        assert [run.key[1] for run in todo] == ["first", "tuned", "plain"]
        return {name: run for (_, name, seed), run in runs.items() if seed == 1}

    runs, changed = study(), study(**{"optimizer.warmup_steps": 51})
    assert runs["tuned"].needs == (runs["first"],) and runs["tuned"].name != runs["plain"].name
    assert changed["tuned"].name != runs["tuned"].name and changed["plain"].name == runs["plain"].name
    folder = runs["first"].workdir(tmp_path) / "checkpoints/12"
    folder.mkdir(parents=True)
    assert f"--config.model.pretrained={folder}" in runs["tuned"].arguments_in(tmp_path)


def test_records_are_read_as_they_were_written(runs: dict[Key, StudyRun], tmp_path: Path) -> None:
    records = [
        record_of(run, machine, ap=30 + run.seed) for run in runs.values() for machine in ("A (1.2), 1 core", "B")
    ]
    for record in records:
        write_record(record, tmp_path)
    by = lambda record: (record.run, record.seed, record.machine)  # noqa: E731
    assert sorted(read_records(tmp_path, {r.run for r in records}), key=by) == sorted(records, key=by)
    file = next(tmp_path.glob("*/*.json"))
    file.write_text(file.read_text()[:50])
    with pytest.raises(InputError, match=f"record {file} is damaged"):
        read_records(tmp_path, {file.parent.name})
    assert read_records(tmp_path, {record.run for record in records} - {file.parent.name}), "others are not read"
    for text in ("{}", "5", "[1]"):
        file.write_text(text)
        with pytest.raises(InputError, match=f"{file} is no record, or one of another version: delete it"):
            read_records(tmp_path, {file.parent.name})


@pytest.mark.parametrize("content", [None, b"", b'{"student": {"over', b"\xff\x00"])
def test_a_result_that_is_damaged_is_named(
    content: bytes | None, runs: dict[Key, StudyRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "newest", lambda workdir: workdir)
    monkeypatch.setattr(checkpoint, "read_meta", lambda folder: SimpleNamespace(data="", teacher={}))
    run = next(iter(runs.values()))
    with pytest.raises(InputError, match=f"{tmp_path}/{environment.FILE} has no whole line"):
        make_record(run, tmp_path)
    environment.note_start(tmp_path, 0)
    monkeypatch.setattr("lad_jax.study.records.open_dataset", lambda *_: None)
    for name in ("metrics.json", "detections.json"):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{tmp_path}/{name} is missing or damaged: delete {tmp_path}/metrics"):
            make_record(run, tmp_path)
        (tmp_path / name).write_text("{}")
        (tmp_path / "metrics.jsonl").write_text('{"step": 3, "evaluation": {}, "seconds": 1}\n')


def test_a_record_is_of_the_last_epochs_evaluation(
    runs: dict[Key, StudyRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of one by the command eval, which takes the best checkpoint."""
    monkeypatch.setattr(checkpoint, "newest", lambda workdir: workdir / "checkpoints/6")
    monkeypatch.setattr(checkpoint, "read_meta", lambda folder: SimpleNamespace(data="", teacher={}))
    monkeypatch.setattr("lad_jax.study.records._resampled", lambda *_: {})
    environment.note_start(tmp_path, 0)
    lines = [{"step": step, "evaluation": {"student": {"AP": ap}}, "seconds": 1} for step, ap in ((3, 0.5), (6, 0.4))]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    run = next(iter(runs.values()))
    (tmp_path / "metrics.json").write_text(json.dumps({"student": {"overall": {"AP": 0.4}}}))
    assert make_record(run, tmp_path).metrics == {"student": {"AP": 0.4}}
    (tmp_path / "metrics.json").write_text(json.dumps({"student": {"overall": {"AP": 0.5}}}))
    with pytest.raises(InputError, match=r"metrics\.json is not of the last epoch's.*delete .*checkpoints/6/metrics"):
        make_record(run, tmp_path)


def records_of(runs: dict[Key, StudyRun]) -> Iterator[Record]:
    """LAD is better on machine one; on machine two, which has fewer runs, everything is worse; CoLAD has two seeds."""
    for (_, name, seed), run in runs.items():
        if name == "colad" and seed > 1:
            continue
        yield record_of(run, "one", 40 + seed + 2 * (name == "lad") + 0.1 * seed * (name == "lad"))
        if seed == 0:
            yield record_of(run, "two", 10.0)


def test_a_report_pairs_runs_of_a_seed_and_a_kind_of_machine(runs: dict[Key, StudyRun], tmp_path: Path) -> None:
    report = make_report(SMALL, runs, list(records_of(runs)))
    lad, colad = report.compared
    assert (lad.condition, lad.baseline, colad.condition, colad.baseline) == ("L", "P", "C (teacher)", "T")
    assert np.array(lad.pairs) == pytest.approx(np.array([(42 + 1.1 * seed, 40 + seed) for seed in range(4)]))
    assert lad.machines == {"one": 4} and lad.verdict == "better"
    theirs = stats.ttest_rel(*zip(*lad.pairs, strict=True))
    assert lad.difference.p == pytest.approx(theirs.pvalue) and lad.corrected_p == pytest.approx(2 * theirs.pvalue)
    assert lad.over_pictures == pytest.approx((2.15, 2.15)) and colad.over_pictures is None
    table = format_report(report)
    n = len(list(records_of(runs)))
    assert f"{n} runs of {n / 3600:.1f} hours in all" in table
    assert "| L | 43.65 ± 1.42 | 60.0 | 4 | 1 | one (4) |" in table
    assert "| L − P | +2.15 |" in table and "| better | +2.15 … +2.15 | one (4) |" in table
    # Two of its four seeds: no word yet, though its probability is corrected for, as of a comparison without runs.
    assert "| 0 of 2 | 2 of 4 seeds |" in table and colad.verdict is None
    alone = make_report(SMALL, runs, [r for r in records_of(runs) if "colad" not in r.run])
    assert alone.compared[0].corrected_p == lad.corrected_p and alone.compared[1].pairs == ()
    files = write_plots(report, tmp_path)
    before = [file.read_text() for file in files]
    assert [file.name for file in files] == ["differences.svg", "curves.svg"]
    assert [file.read_text() for file in write_plots(report, tmp_path)] == before, "the same figures, the same file"
    json.dumps(dataclasses.asdict(report))


def test_a_seed_that_only_another_machine_has_whole_counts(runs: dict[Key, StudyRun]) -> None:
    """The pair is that machine's; a pair of two machines is none."""
    records = [
        r for r in records_of(runs) if not (r.run == runs["", "paa", 0].name and r.seed == 0 and r.machine == "one")
    ]
    assert make_report(SMALL, runs, records).compared[0].machines == {"two": 1, "one": 3}
    records = [record_of(runs["", "lad", 0], "one"), record_of(runs["", "paa", 0], "two")]
    report = make_report(SMALL, runs, records)
    assert report.compared[0].pairs == () and "difference" not in format_report(report)


def test_one_pair_says_nothing_yet(runs: dict[Key, StudyRun]) -> None:
    report = make_report(SMALL, runs, [record_of(runs["", "lad", 0], ap=60.0), record_of(runs["", "paa", 0])])
    assert "| L − P | +20.00 | 1 of 1 | 1 of 4 seeds |" in format_report(report)


def test_runs_of_other_data_are_not_compared(runs: dict[Key, StudyRun]) -> None:
    with pytest.raises(InputError, match="were trained on different data"):
        make_report(SMALL, runs, [record_of(runs["", "lad", 0]), record_of(runs["", "paa", 0], data="b")])
    pairs = [record_of(runs["", name, seed], data="ab"[seed]) for name in ("lad", "paa") for seed in (0, 1)]
    with pytest.raises(InputError, match=r"seed 0, and .*, seed 1, were trained on different data"):
        make_report(SMALL, runs, pairs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"comparisons": (Comparison("lda", "paa"),)}, "there is no condition 'lda', but teacher, paa, lad"),
        ({"comparisons": ()}, "comparisons is empty"),
        ({"first_seeds": 5}, "first_seeds is 5 and seeds is 4"),
        (
            {"conditions": dict(reversed(SMALL.conditions.items()))},
            "'teacher', the teacher of 'lad', is none of .*before",
        ),
        (
            {"conditions": {"tuned": Condition("T", f"{DEMO}paa", start="paa"), **SMALL.conditions}},
            "'paa', the start of 'tuned', is none of .*before",
        ),
    ],
)
def test_a_study_that_says_nothing(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Condition("L", f"{DEMO}lad"), "condition 'lad' has no teacher, but method 'lad' needs one"),
        (Condition("L", f"{DEMO}paa", "teacher"), "condition 'lad' has the teacher 'teacher', but method 'plain'"),
        (Condition("L", "configs/no.py", "teacher"), "condition 'lad': there is no file configs/no.py"),
        (Condition("L", f"{DEMO}lad", "teacher", {"train.epchs": 1}), "unknown config key .*epchs"),
    ],
)
def test_a_condition_that_does_not_build(condition: Condition, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_runs(replace(SMALL, conditions=SMALL.conditions | {"lad": condition}))


def test_a_config_that_sets_the_teacher_that_a_study_should_set(tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    config.write_text(
        "from configs import demo\n\n\ndef get_config():\n    config = demo.get_config('colad')\n"
        "    config.teacher.path = 'runs/x'\n    return config\n"
    )
    with pytest.raises(InputError, match=r"'lad' has no teacher, but its config\.teacher\.path is 'runs/x': name a"):
        make_runs(replace(SMALL, conditions=SMALL.conditions | {"lad": Condition("C", str(config))}))


@pytest.mark.parametrize(
    ("changes", "extra", "message"),
    [
        ({"data": ("a", "b")}, [], "conditions 'teacher' and 'teacher', on data 'a' and 'b', are the same run"),
        (
            {"conditions": SMALL.conditions | {"atss": Condition("A", f"{DEMO}paa", changes={"method": "plain"})}},
            [],
            "conditions 'paa' and 'atss', .* are the same run: drop one",
        ),
        ({"comparisons": (Comparison("lad", "paa", network="teacher"),)}, [], "condition 'lad' trains no 'teacher'"),
        ({}, ["--config.seed=3"], "--config.seed=3: a study sets seeds, teachers and workdirs itself"),
        ({}, ["--config.teacher.path=x"], "a study sets seeds"),
    ],
)
def test_runs_that_could_not_be_told_apart(changes: dict[str, Any], extra: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_runs(replace(SMALL, **changes), extra)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "has no attribute 'get_study'"),
        ("def get_study():\n    return {}", r"get_study\(\) gives {}, not a lad_jax.study.Study"),
        ("import no_such_module", r"ModuleNotFoundError: .*study.py, line 1"),
    ],
)
def test_a_file_without_a_study(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no study .*nothing\.py"):
        load_study(tmp_path / "nothing.py")
    (tmp_path / "study.py").write_text(text)
    with pytest.raises(InputError, match=message):
        load_study(tmp_path / "study.py")
