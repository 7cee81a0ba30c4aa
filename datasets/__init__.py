"""Real data where it is at hand, stand-ins that need nothing where it is not, and drawn digits.

``python -m datasets`` lists the data sets; nothing is downloaded unless
``python -m datasets fetch NAME`` is run.
"""

from datasets.airfoil import AIRFOIL, STAND_IN, Regression, airfoil, airfoil_stand_in
from datasets.glyphs import Images, glyphs
from datasets.minibatches import MinibatchStream, minibatches
from datasets.source import DataError, Source, cache_folder

__all__ = [
    "SOURCES",
    "STAND_IN",
    "DataError",
    "Images",
    "MinibatchStream",
    "Regression",
    "Source",
    "airfoil",
    "airfoil_stand_in",
    "cache_folder",
    "glyphs",
    "minibatches",
]

SOURCES: dict[str, Source] = {source.name: source for source in (AIRFOIL,)}
"""Every data set that has a file, by name."""
