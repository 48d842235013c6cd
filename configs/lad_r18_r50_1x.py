"""LAD: a ResNet-18 by the costs of a ResNet-50.

    python -m lad_jax.recipe configs/lad_r18_r50_1x.py --run
    python main.py --config=configs/lad_r18_r50_1x.py --workdir=runs/lad_r18_r50_1x

Teacher: configs/paa_r50_1x.py
Table 6, LAD by R50: AP 36.9 (val)

No config of this pair was released: settings are those of the other LAD rows.
"""

from ml_collections import ConfigDict

from configs import paa_r50_1x, paper


def get_config() -> ConfigDict:
    config = paper.row(paper.R18, "1x", method="lad")
    paper.set_teacher(config, paa_r50_1x)
    return config
