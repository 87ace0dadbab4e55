"""Files of a run's folder, whose names a stranger's file may say."""

from __future__ import annotations

import pytest

from eraser import InputError
from rationale.evaluation.stored.run_folder import own_file


def test_a_name_that_no_file_system_holds_is_one_line(tmp_path):
    with pytest.raises(InputError, match="expected a readable file, got File name too long$"):
        own_file(tmp_path, f"{'a' * 300}.parquet")
