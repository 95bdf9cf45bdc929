import numpy as np
import pytest

from models.language.gguf_llama import to_file_rows, to_torch_rows


@pytest.mark.parametrize("heads", [1, 3, 9])
def test_rows_go_there_and_back(heads: int) -> None:
    rows = np.arange(heads * 8 * 5).reshape(heads * 8, 5)
    assert np.array_equal(to_torch_rows(to_file_rows(rows, heads), heads), rows)


def test_the_file_interleaves_the_halves_of_a_head() -> None:
    rows = np.arange(8)[:, None]  # one head: rotary pairs are (0, 4), (1, 5), (2, 6), (3, 7) in torch
    assert to_file_rows(rows, 1).ravel().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
