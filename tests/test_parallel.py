"""The parts of a batch side by side give what the whole batch gives."""

import copy
import threading
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minigrad import DataParallel, Tensor, keep_freed_memory, nn, no_grad
from minigrad.functional import cross_entropy


def model_and_batch(examples: int) -> tuple[nn.Module, Any, Any]:
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(5, 7, rng=rng), nn.Tanh(), nn.Linear(7, 3, rng=rng))
    return net, rng.normal(size=(examples, 5)), rng.integers(0, 3, examples)


def gradients(net: nn.Module) -> list[Any]:
    return [parameter.grad for parameter in net.parameters()]


def loss_of(net: nn.Module) -> Any:
    return lambda x, y: cross_entropy(net(x), y)


@pytest.mark.parametrize(("examples", "parts"), [(12, 2), (13, 2), (11, 4), (3, 5), (1, 2), (6, 1)])
def test_loss_and_gradients_are_those_of_the_whole_batch(examples: int, parts: int) -> None:
    net, x, y = model_and_batch(examples)
    whole = loss_of(net)(x, y)
    whole.backward()
    expected = gradients(net)
    net.zero_grad()
    assert DataParallel(loss_of(net), parts=parts)(x, y) == pytest.approx(whole.item(), rel=1e-14)
    for g, e in zip(gradients(net), expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=0, atol=1e-15 * np.abs(e).max() * 8)


def test_gradients_have_the_same_bits_for_any_number_of_threads() -> None:
    net, x, y = model_and_batch(57)
    found = []
    for threads in (1, 2, 3, 7):
        net.zero_grad()
        DataParallel(loss_of(net), parts=7, threads=threads)(x, y)
        found.append(gradients(net))
    for other in found[1:]:
        for g, e in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(g, e)


def test_gradients_add_up_over_calls() -> None:
    net, x, y = model_and_batch(8)
    step = DataParallel(loss_of(net), parts=2)
    step(x, y)
    once = [g.copy() for g in gradients(net)]
    step(x, y)
    for g, e in zip(gradients(net), once, strict=True):
        np.testing.assert_array_equal(g, 2 * e)


def test_parts_run_on_threads_of_their_own_with_blas_on_one_each() -> None:
    names: set[str] = set()
    limits: set[int] = set()
    both_there = threading.Barrier(2, timeout=20)

    def loss(x: Any) -> Any:
        names.add(threading.current_thread().name)
        limits.update(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas")
        both_there.wait()
        return (w * x).mean()

    w = Tensor(2.0, requires_grad=True)
    before = [lib["num_threads"] for lib in threadpool_info()]
    DataParallel(loss, parts=2, threads=2)(np.ones(4))
    assert len(names) == 2
    assert limits == {1}
    assert [lib["num_threads"] for lib in threadpool_info()] == before


def test_a_leaf_that_only_one_part_uses_gets_its_gradient() -> None:
    u, w = (Tensor(1.0, requires_grad=True) for _ in range(2))
    DataParallel(lambda x: ((u if x[0] > 0 else w) * x).mean(), parts=2)(np.array([3.0, -5.0]))
    assert (u.grad, w.grad) == (1.5, -2.5)


def test_a_part_whose_loss_uses_no_parameter_adds_none() -> None:
    w = Tensor(1.0, requires_grad=True)
    step = DataParallel(lambda x: w * x[0] if x[0] else Tensor(0.0), parts=3)
    assert step(np.array([0.0, 6.0, 0.0])) == 2.0
    assert w.grad == 2.0


def test_error_no_part_has_a_graph() -> None:
    with pytest.raises(RuntimeError, match=r"backward\(\) on a tensor with no graph"):
        DataParallel(lambda x: Tensor(x.mean()), parts=2)(np.ones(4))


def test_a_gradient_with_a_graph_is_added_to() -> None:
    w = Tensor(3.0, requires_grad=True)
    (w * w).backward(create_graph=True)
    DataParallel(lambda x: (w * x).mean(), parts=2)(np.array([4.0, 6.0]))
    assert isinstance(w.grad, Tensor)
    assert w.grad.item() == 11.0
    first, w.grad = w.grad, None
    first.backward()
    assert w.grad == 2.0


def test_an_error_while_adding_leaves_every_gradient_as_it_was() -> None:
    u, w = (Tensor(np.ones(2), requires_grad=True) for _ in range(2))
    for first, second in ((u, w), (w, u)):
        first.grad, second.grad = np.ones(2), np.ones(3)  # of another shape
        with pytest.raises(ValueError, match="broadcast"):
            DataParallel(lambda x: (u * w * x).sum(), parts=1)(np.ones((1, 2)))
        np.testing.assert_array_equal(first.grad, np.ones(2))
        np.testing.assert_array_equal(second.grad, np.ones(3))


def test_a_copy_has_threads_of_its_own() -> None:
    w = Tensor(1.0, requires_grad=True)
    step = DataParallel(lambda x: (w * x).mean(), parts=2)
    step(np.ones(4))
    twin = copy.deepcopy(step)
    assert twin.parts == 2
    assert twin(np.ones(4)) == step(np.ones(4)) == 1.0
    assert w.grad == 3.0


def test_float32_stays_float32() -> None:
    w = Tensor(np.ones(3, np.float32), requires_grad=True)
    DataParallel(lambda x: (x @ w).mean(), parts=3)(np.ones((7, 3), np.float32))
    assert w.grad.dtype == np.float32
    np.testing.assert_allclose(w.grad, 1, rtol=1e-6)


def test_an_error_in_one_part_is_raised_and_changes_nothing() -> None:
    w = Tensor(1.0, requires_grad=True)

    def loss(x: Any) -> Any:
        if x[0] == 2:
            raise ArithmeticError("the second part")
        return (w * x).mean()

    step = DataParallel(loss, parts=3)
    with pytest.raises(ArithmeticError, match="the second part"):
        step(np.arange(1.0, 4.0))
    assert w.grad is None
    assert step(np.array([4.0, 4.0])) == 4.0


def test_errstate_holds_in_the_threads() -> None:
    w = Tensor(0.0, requires_grad=True)
    step = DataParallel(lambda x: np.log(w * x).mean(), parts=2)
    with np.errstate(all="ignore"):
        assert step(np.ones(2)) == -np.inf


@pytest.mark.parametrize(
    "batch", [(np.ones(3), np.ones(4)), (np.ones(0),), (), (3.0,), (np.ones(3), 2.0)]
)
def test_error_batches_of_different_lengths(batch: Any) -> None:
    with pytest.raises(ValueError, match=r"shapes \[.*\]; their lengths"):
        DataParallel(lambda *xs: xs[0].sum())(*batch)


def test_error_a_loss_that_is_no_number() -> None:
    w = Tensor(np.ones(2), requires_grad=True)
    with pytest.raises(ValueError, match=r"the loss has shape \(1, 2\); it must be a scalar"):
        DataParallel(lambda x: w * x, parts=1)(np.ones((1, 2)))
    with pytest.raises(TypeError, match="the loss is a float; it must be a Tensor"):
        DataParallel(lambda x: (w * x).mean().item(), parts=1)(np.ones((1, 2)))


def test_error_without_recording_there_are_no_gradients() -> None:
    w = Tensor(1.0, requires_grad=True)
    with no_grad(), pytest.raises(RuntimeError, match=r"called under no_grad\(\)"):
        DataParallel(lambda x: (w * x).mean(), parts=1)(np.ones(2))
    assert w.grad is None


@pytest.mark.parametrize("options", [{"parts": 0}, {"threads": 0}])
def test_error_no_parts_or_threads(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        DataParallel(lambda: None, **options)


@pytest.mark.parametrize("options", [{"parts": 2.5}, {"threads": "2"}])
def test_error_parts_or_threads_that_cannot_be_counted(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="must be whole numbers"):
        DataParallel(lambda: None, **options)


def test_memory_can_be_kept_twice() -> None:
    assert keep_freed_memory() == keep_freed_memory()
