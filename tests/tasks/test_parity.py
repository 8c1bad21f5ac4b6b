from numsym.tasks import Parity


def test_the_answer_is_1_for_an_odd_number_of_ones(generator):
    task = Parity()
    batch = task.sample(300, generator=generator)
    assert task.program().variables == batch.variables == ("parity",)
    for row in batch.input_ids:
        *bits, sign, answer, end = task.text(row).split()[1:]
        assert (sign, answer, end) == ("=", str(bits.count("1") % 2), "E")
