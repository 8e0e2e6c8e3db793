"""A survey of 2,000 files, made of the captures and logs: by two processes, by two workers of Dask of which one is
killed in the middle, and how much faster two are than one."""

from __future__ import annotations

import itertools
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest

from inspector.batch.evidence import found
from inspector.batch.survey import Survey, survey_files

FILES, SOME = 2000, 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, data: Path, golden) -> Path:
    place = tmp_path_factory.mktemp("evidence")
    captures = [golden(path.name.split(".core")[0][len("xen-4.20.3-") :]) for path in (data / "golden").glob("*.zst")]
    originals = sorted([*captures, *(data / "field" / "logs").iterdir()])
    for number, original in zip(range(FILES), itertools.cycle(originals), strict=False):
        os.link(original, place / f"{number:04}-{original.name}")
    return place


def told(survey: Survey) -> list[object]:
    return [replace(row, seconds=0.0) for row in survey.rows]


def test_survey(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    distributed = pytest.importorskip("distributed")
    files = found([str(folder)])
    some = files[:SOME]
    seconds = []
    for processes in (1, 2):
        began = time.perf_counter()
        survey_files(some, processes)
        seconds.append(time.perf_counter() - began)
    began = time.perf_counter()
    here = survey_files(files, 2)
    whole = time.perf_counter() - began
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as dask:
        victim = dask.workers[0].process.pid
        Timer(whole / 2, os.kill, (victim, signal.SIGKILL)).start()
        began = time.perf_counter()
        there = survey_files(files, 1, dask.scheduler_address)
        on_dask = time.perf_counter() - began
    assert told(there) == told(here)
    assert len(here.rows) == FILES
    with capsys.disabled():
        print(f"\n{SOME} files: two processes {seconds[0] / seconds[1]:.2f} x as fast as one (aim 1.8)")
        print(f"{FILES} files: {whole:.0f} s by two processes, {on_dask:.0f} s by two workers of Dask, one killed")
