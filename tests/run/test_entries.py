"""A JSON list whose entries are on disk until all are there."""

import errno
import json
import os
import tempfile

import pytest

from lad_jax.run.entries import Entries

WHOLE = {"file": "a\nb.png", "detections": [{"bbox": [1.5, 2, 3, 4], "name": "ä"}]}


@pytest.fixture
def file():
    with tempfile.TemporaryFile(buffering=0) as opened:
        yield opened


@pytest.mark.parametrize("numbers", [[], [7], [2, 0, 5, 1]])
def test_the_list_is_that_of_its_entries_by_number(numbers, file, tmp_path):
    done = Entries(file)
    for number in numbers:
        done.add(number, {"number": number} | WHOLE)
    assert len(done) == len(numbers)
    for _ in range(2):  # as where an error comes after the first
        done.write(tmp_path / "list.json")
        expected = [{"number": number} | WHOLE for number in sorted(numbers)]
        assert (tmp_path / "list.json").read_text() == json.dumps(expected, indent=1) + "\n"


def test_a_full_disk_costs_the_entry_that_did_not_fit(file, tmp_path, monkeypatch):
    done = Entries(file)
    done.add(0, WHOLE)
    with monkeypatch.context() as full, pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        full.setattr(done, "_file", Full(file))
        done.add(1, WHOLE)
    done.add(2, WHOLE)
    done.write(tmp_path / "list.json")
    assert json.loads((tmp_path / "list.json").read_text()) == [WHOLE, WHOLE]


class Full:
    """A file on a disk that takes 10 bytes more."""

    def __init__(self, file):
        self.seek, self._file = file.seek, file

    def write(self, data):
        return self._file.write(data[:10])
