import pytest

from numsym.errors import UnknownNameError


@pytest.mark.parametrize(
    "name", ["RecurrentConfig", "TransformerConfig", "ModularTransformerConfig", "LinearModularConfig"]
)
def test_an_argument_that_is_not_known_is_refused_and_one_of_transformers_is_not(name, tmp_path):
    from numsym import models

    kind = getattr(models, name)
    with pytest.raises(UnknownNameError, match=rf"hidden_sized=3 is not allowed in {name}: did you mean hidden_size\?"):
        kind(hidden_sized=3)
    assert kind(hidden_size=8, bos_token_id=1).hidden_size == 8


def test_a_file_of_another_version_is_read(tmp_path):
    from numsym.models import RecurrentConfig

    made = RecurrentConfig(hidden_size=8)
    made.save_pretrained(tmp_path)
    assert RecurrentConfig.from_pretrained(tmp_path).to_dict() == made.to_dict()
    assert RecurrentConfig.from_dict({**made.to_dict(), "of_a_later_version": 1}).hidden_size == 8
