"""Speed of inference: from uint8 pixels to detections, with NMS and voting, on random pictures and random weights.

    python -m benchmarks.inference --config=configs/base.py --height=256 --width=256 --batch=1,2
    python -m benchmarks.inference --height=800 --width=1344 --batch=1,16 --config.dtype=bfloat16

An untrained network passes the threshold everywhere, so NMS and voting have as much to do as they ever can. The bare
network and, where torchvision is installed, its detectors (threshold 0, NMS, no voting) take turns with ours.
"""

from typing import Any

import jax
from absl import app, flags
from ml_collections import config_flags

from benchmarks import _beside
from benchmarks._inputs import random_batch
from benchmarks._measure import in_turns, machine, print_table, ratio, write_json
from lad_jax import RunOptions, from_config
from lad_jax.evaluation.detector import make_detector
from lad_jax.run.build import make_model
from lad_jax.train.state import init_variables

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file("config", "configs/base.py", "Config whose student is timed.")
flags.DEFINE_integer("height", 256, "Canvas height, a multiple of 32.")
flags.DEFINE_integer("width", 256, "Canvas width, a multiple of 32.")
flags.DEFINE_list("batch", ["1", "2"], "Pictures at a time, a list.")
flags.DEFINE_integer("classes", 80, "Classes.")
flags.DEFINE_integer("runs", 7, "Timed runs; the median is shown.")
flags.DEFINE_list("beside", list(_beside.DETECTORS), "Detectors of torchvision to time in turns.")
flags.DEFINE_string("json", "", "File to write the figures to.")


def measure(options: RunOptions, variables: Any, n_images: int) -> list[dict[str, Any]]:
    """Rows of the table, one for each program, at one batch size."""
    model = make_model(options, "student", FLAGS.classes)
    canvas = (FLAGS.height, FLAGS.width)
    batch = random_batch(canvas, n_images=n_images, n_objects=0, n_classes=FLAGS.classes)
    pictures = jax.device_put(batch.pictures)
    network = jax.jit(lambda v, pictures: model.apply(v, pictures.images, pictures.image_hw))
    detector = make_detector(model, options.evaluation.postprocess)
    programs = {
        "detector": lambda: jax.block_until_ready(detector(variables, pictures)),
        "its bare network": lambda: jax.block_until_ready(network(variables, pictures)),
        **_beside.inference(FLAGS.beside, batch.pictures, n_classes=FLAGS.classes, dtype=options.dtype),
    }
    times = in_turns(programs, FLAGS.runs)
    return [
        {
            "batch": n_images,
            "program": name,
            "latency ms": 1e3 * seconds.median,
            "images/s": n_images / seconds.median,
            "time / the detector's": ratio(seconds, times["detector"]),
        }
        for name, seconds in times.items()
    ]


def main(_: list[str]) -> None:
    options = from_config(RunOptions, FLAGS.config)
    variables = init_variables(make_model(options, "student", FLAGS.classes), 0)
    rows = [row for n_images in FLAGS.batch for row in measure(options, variables, int(n_images))]
    title = f"{FLAGS.height}x{FLAGS.width}, {options.dtype}, {machine()}"
    print(f"{title}\n")
    print_table(rows)
    write_json(FLAGS.json, {"title": title, "rows": rows})


if __name__ == "__main__":
    app.run(main)
