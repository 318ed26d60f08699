"""The command line names its options where the library names settings."""

import pickle

import pytest

from facetool.cli.messages import error_text, remark_text
from facetool.errors import UsageError


@pytest.mark.parametrize(
    ("setting", "option"),
    [
        ("any_crop=True", "--any-crop"),
        ("device='cuda:7'", "--device cuda:7"),
        ('annotate="it\'s"', "--annotate it's"),
        ("device=''", "--device ''"),
        ("threshold=X", "--threshold X"),
        ("predictor=68", "--predictor 68"),
        ("links", "--links"),
    ],
)
def test_a_setting_becomes_an_option(setting: str, option: str) -> None:
    error = UsageError(f"this needs {setting}, or not", setting)
    assert str(error) == f"this needs {setting}, or not"
    assert error_text(error) == f"this needs {option}, or not"


def test_several_of_one_name_and_words_that_hold_it() -> None:
    error = UsageError("device='x': no devices;\ntry device", "device", "device='x'")
    assert error_text(error) == "--device x: no devices; try --device"


def test_what_looks_like_a_setting_but_is_a_path_stays() -> None:
    assert error_text(UsageError("a/links is empty")) == "a/links is empty"


def test_an_extra_of_the_name_of_a_setting_stays() -> None:
    error = UsageError("index needs pip install 'facetool[index]', or leave index out", "index")
    text = "--index needs pip install 'facetool[index]', or leave --index out"
    assert error_text(error) == text


def test_a_remark_names_an_option_with_what_to_give() -> None:
    assert remark_text("give (every=SECONDS); a=b stays") == "give (--every SECONDS); a=b stays"
    assert remark_text("cannot read person=ANN/x.jpg") == "cannot read person=ANN/x.jpg"


def test_errors_come_whole_out_of_a_worker() -> None:
    error = pickle.loads(pickle.dumps(UsageError("give null=True", "null=True")))
    assert (str(error), error.settings) == ("give null=True", ("null=True",))
