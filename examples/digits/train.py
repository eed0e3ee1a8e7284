"""Trains r2b_digits with the stages of the Real-to-Binary paper, by the code and options of examples/cifar10.

    python -m examples.digits.train --out DIR

It needs scikit-learn, which brings the images.
"""

from __future__ import annotations

from examples.cifar10.data import TrainBatches
from examples.cifar10.train import Task, options, train
from examples.digits.data import load
from examples.nets import r2b_digits


def main() -> None:
    """The command line."""
    parser = options(__doc__)
    # The net is too small for compilation and bfloat16 to pay. Digits are not mirrored; a crop moves by a pixel.
    parser.set_defaults(
        recipe="progressive", width=16, batch=64, teacher_epochs=40, tanh_epochs=30, sign_epochs=40, epochs=120,
        test_every=20, fp32=True, no_compile=True,
    )  # fmt: skip
    args = parser.parse_args()
    batches = TrainBatches(load("train"), args.batch, args.seed, pad=1, flip=False)
    train(args, Task(r2b_digits, batches, load("test")))


if __name__ == "__main__":
    main()
