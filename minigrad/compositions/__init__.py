"""NumPy functions that are made of the table's rows, and so need no derivative of their own.

Each is a plain function with the arguments of the NumPy function that it stands for.  It runs in
that function's place when an argument is a Tensor: `reductions` has products, variances and
norms, `shapes` what rearranges axes or joins arrays, `selections` what picks elements, and
`matrices` products of arrays and linear algebra.
"""

from minigrad.compositions import matrices, reductions, selections, shapes

__all__ = ["matrices", "reductions", "selections", "shapes"]
