"""Pictures a second from JPEG files to a device, by the number of worker processes, and what a picture costs.

    python -m benchmarks.loader
    python -m benchmarks.loader --workers=0,2,8 --batch=16 --height=480 --width=640
    python -m benchmarks.loader --height=3000 --width=4000 --decode_reduced

The files are written to a temporary folder. A run's first batches, while workers start, are not counted. The main
thread's processor time is the loader's ceiling, as there is one. A second table has that of each step of a picture in a
worker, the medians of all pictures, and the cores that it takes at `--target` pictures a second.
"""

import dataclasses
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import jax
import numpy as np
from absl import app, flags

from benchmarks._measure import machine, print_table, write_json
from lad_jax.data import DataOptions, make_plan, open_dataset, train_batches
from lad_jax.data.options import FolderOptions
from lad_jax.data.pictures import decode_picture
from lad_jax.data.transforms import flip_picture, reduction, resize, resized_hw
from lad_jax.data.workers import to_shared_memory
from lad_jax.mesh import MeshOptions, make_mesh, split_batch
from lad_jax.rounding import round_up

FLAGS = flags.FLAGS
flags.DEFINE_list("workers", ["0", "1", "2", "4"], "Numbers of worker processes; 0: a thread.")
flags.DEFINE_integer("height", 480, "Of the files' pictures.")
flags.DEFINE_integer("width", 640, "Of the files' pictures.")
flags.DEFINE_integer("short_side", 800, "That they are resized to; the longer one is at most 1333.")
flags.DEFINE_bool("decode_reduced", False, "The option `data.decode_reduced`.")
flags.DEFINE_integer("batch", 16, "Pictures a batch.")
flags.DEFINE_integer("batches", 12, "Timed batches.")
flags.DEFINE_integer("rounds", 2, "How often each number of workers is timed, in turns; the best is shown.")
flags.DEFINE_integer("files", 64, "Different pictures.")
flags.DEFINE_integer("target", 250, "Pictures a second that cores are counted for.")
flags.DEFINE_string("json", "", "File to write the figures to.")


class Rate(NamedTuple):
    """How fast batches come to a device."""

    pictures_s: float
    first_batch_s: float
    """Time until the first batch [seconds]."""
    main_ms: float
    """Processor time of the main thread [ms a picture]."""


def write_pictures(folder: Path) -> None:
    """Write pictures, smooth colours with noise, of about as many bytes a pixel as photographs, and annotations."""
    rng, (height, width) = np.random.default_rng(0), (FLAGS.height, FLAGS.width)
    images, annotations = [], []
    for number in range(FLAGS.files):
        smooth = cv2.resize(rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8), (width, height))
        noisy = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])
        images.append({"id": number, "file_name": f"{number}.jpg", "height": height, "width": width})
        box = [0.25 * width, 0.25 * height, 0.5 * width, 0.5 * height]
        size = {"bbox": box, "area": box[2] * box[3]}
        annotations.append({"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, **size})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "annotations.json").write_text(json.dumps(content))


def measure(options: DataOptions) -> Rate:
    """How fast a training's batches come to the first device."""
    dataset, mesh = open_dataset(options, "train"), make_mesh(MeshOptions(data=1), {})
    plan = make_plan(dataset, options, batch_size=FLAGS.batch, seed=0)
    # What the workers have made ahead when the clock starts is as much as they have when it stops.
    ahead = 4 * max(options.workers, 1)
    since = time.perf_counter()
    batches = train_batches(dataset, plan, options, start_step=0, num_steps=2 * ahead + FLAGS.batches)

    def take() -> None:
        jax.block_until_ready(split_batch(next(batches), mesh))

    take()
    started = time.perf_counter() - since
    for _ in range(ahead - 1):
        take()
    since, main_since = time.perf_counter(), time.thread_time()
    for _ in range(FLAGS.batches):
        take()
    seconds, main_s = time.perf_counter() - since, time.thread_time() - main_since
    batches.close()
    n_pictures = FLAGS.batches * FLAGS.batch
    return Rate(n_pictures / seconds, started, 1e3 * main_s / n_pictures)


def picture_ms(files: list[Path], options: DataOptions) -> dict[str, float]:
    """Processor time of each step of a picture [ms], in one thread; that of the mirror by how often it is done."""
    cv2.setNumThreads(1)
    original = np.array([FLAGS.height, FLAGS.width])
    hw = resized_hw(original, short_side=options.short_side, long_side=options.long_side)
    factor = reduction(original, hw) if options.decode_reduced else 1
    height, width = hw.tolist()
    times: defaultdict[str, list[float]] = defaultdict(list)

    def timed(name: str, run: Callable[[], Any]) -> Any:
        since = time.thread_time()
        result = run()
        times[name].append(1e3 * (time.thread_time() - since))
        return result

    def place(picture: Any) -> Any:
        canvas: Any = np.zeros((*round_up(hw, options.pad_multiple), 3), np.uint8)
        canvas[:height, :width] = picture
        return canvas

    def hand_over(canvas: Any) -> None:
        to_shared_memory(canvas).unlink_on_del()

    for file in files:
        data = timed("read", file.read_bytes)
        picture = timed("decode", lambda data=data: decode_picture(data, "picture", factor))
        resized = timed("resize", lambda picture=picture: resize(picture, hw))
        flipped = timed("mirror", lambda resized=resized: flip_picture(resized))
        canvas = timed("copy to the canvas", lambda flipped=flipped: place(flipped))
        timed("hand over in shared memory", lambda canvas=canvas: hand_over(canvas))
    median = {name: statistics.median(values) for name, values in times.items()}
    return median | {"mirror": options.flip * median["mirror"]}


def print_tables(rates: Mapping[int, Rate], costs: Mapping[str, float]) -> None:
    print_table(
        [
            {
                "workers": n,
                "pictures/s": rate.pictures_s,
                "first batch after s": rate.first_batch_s,
                "main thread, CPU ms a picture": rate.main_ms,
                "its ceiling, pictures/s": 1e3 / rate.main_ms,
            }
            for n, rate in rates.items()
        ]
    )
    cores = f"cores for {FLAGS.target} pictures/s"
    steps = {**costs, "a picture": sum(costs.values())}
    print_table([{"step": step, "CPU ms": ms, cores: ms * FLAGS.target / 1e3} for step, ms in steps.items()])


def main(_: list[str]) -> None:
    best: dict[int, Rate] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder)
        files = sorted(folder.glob("*.jpg"))
        kilobytes = sum(file.stat().st_size for file in files) / len(files) / 1e3
        options = DataOptions(
            train=FolderOptions(images=name, annotations=str(folder / "annotations.json")),
            short_side=FLAGS.short_side,
            canvases=1,
            decode_reduced=FLAGS.decode_reduced,
        )
        for _ in range(FLAGS.rounds):
            for workers in map(int, FLAGS.workers):
                rate = measure(dataclasses.replace(options, workers=workers))
                best[workers] = max(best.get(workers, rate), rate)
        costs = picture_ms(files, options)
    title = (
        f"{FLAGS.height}x{FLAGS.width} JPEG of {kilobytes:.0f} kB to a short side of {FLAGS.short_side}, {machine()}"
    )
    print(f"{title}\n")
    print_tables(best, costs)
    write_json(
        FLAGS.json,
        {"title": title, "workers": {n: rate._asdict() for n, rate in best.items()}, "picture_cpu_ms": costs},
    )


if __name__ == "__main__":
    app.run(main)
