"""Real data where it is at hand, stand-ins that need nothing where it is not, and drawn digits.

``python -m datasets`` lists the data sets; nothing is downloaded unless
``python -m datasets fetch NAME`` is run.
"""

from datasets.airfoil import AIRFOIL, Regression, airfoil, airfoil_stand_in
from datasets.glyphs import Images, glyphs
from datasets.idx import FASHION_MNIST, MNIST, fashion_mnist, idx, mnist
from datasets.minibatches import MinibatchStream, minibatches
from datasets.source import STAND_IN, DataError, Source, cache_folder
from datasets.time_machine import (
    TIME_MACHINE,
    TRAINING_WINDOWS,
    VOCABULARY,
    Text,
    decode,
    encode,
    normalized,
    time_machine,
    windows,
)

__all__ = [
    "SOURCES",
    "STAND_IN",
    "TRAINING_WINDOWS",
    "VOCABULARY",
    "DataError",
    "Images",
    "MinibatchStream",
    "Regression",
    "Source",
    "Text",
    "airfoil",
    "airfoil_stand_in",
    "cache_folder",
    "decode",
    "encode",
    "fashion_mnist",
    "glyphs",
    "idx",
    "minibatches",
    "mnist",
    "normalized",
    "time_machine",
    "windows",
]

SOURCES: dict[str, tuple[Source, ...]] = {
    files[0].name: files for files in ((AIRFOIL,), (TIME_MACHINE,), MNIST, FASHION_MNIST)
}
"""The files of every data set that has any, by the data set's name."""
