"""PAA with a ResNet-50, short sides of 640 to 800: the first teacher of Table 7.

    python main.py --config=configs/paa_r50_ms_3x.py --workdir=runs/paa_r50_ms_3x

Table 7, the teacher, PAA R50: AP 43.3 (val), AP 43.8 (test-dev)

The paper took mmdetection's weights: `python -m lad_jax.convert` puts them into this workdir (docs/checkpoints.md).
"""

from ml_collections import ConfigDict

from configs import paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R50, "3x")
    paper.set_multi_scale(config)
    return config
