"""What the replication found with numsym 0.1.0, whose searches began at random; the page shows it beside the new runs.

Means over seeds 0, 1 and 2, in percent, from `docs/replication_0_1.md`. There the GRUs of width 20 were searched with
[N]'s settings for at most 6,000 steps, those of width 128 for 800 and the transformers for 400, in smaller batches.
"""

FORMER: dict[tuple[str, str, str], dict[str, tuple[float, float]]] = {
    ("gru_128", "multi_object", "up_down"): {"count": (96.4, 97.3), "phase": (98.5, 99.7), "full": (99.4, 98.1)},
    ("gru_128", "multi_object", "up_up"): {"demo_count": (38.2, 87.2), "resp_count": (33.6, 84.3)},
    ("gru_128", "same_object", "up_down"): {"count": (11.5, 66.5), "phase": (11.2, 74.3), "full": (99.5, 95.0)},
    ("gru_128", "same_object", "up_up"): {"demo_count": (35.1, 90.7), "resp_count": (14.4, 78.5)},
    ("gru_128", "single_object", "up_down"): {"count": (92.0, 97.6), "phase": (94.6, 98.1), "full": (98.6, 98.0)},
    ("gru_128", "single_object", "up_up"): {"demo_count": (18.0, 88.8), "resp_count": (16.5, 86.9)},
    ("gru_20", "multi_object", "up_down"): {"count": (90.4, 94.7), "phase": (89.9, 97.6), "full": (99.0, 97.5)},
    ("gru_20", "multi_object", "up_up"): {"demo_count": (38.0, 75.7), "resp_count": (34.7, 67.5)},
    ("gru_20", "same_object", "up_down"): {"count": (7.9, 40.8), "phase": (10.2, 53.6), "full": (99.7, 96.7)},
    ("gru_20", "same_object", "up_up"): {"demo_count": (26.3, 78.7), "resp_count": (14.5, 66.0)},
    ("gru_20", "single_object", "up_down"): {"count": (89.8, 98.2), "phase": (90.3, 97.4), "full": (99.6, 98.7)},
    ("gru_20", "single_object", "up_up"): {"demo_count": (18.8, 79.6), "resp_count": (14.8, 76.9)},
    ("lstm_128", "multi_object", "up_down"): {"count": (88.6, 93.5), "phase": (85.9, 98.0), "full": (99.8, 95.3)},
    ("lstm_128", "multi_object", "up_up"): {"demo_count": (26.1, 73.9), "resp_count": (30.4, 78.9)},
    ("lstm_128", "same_object", "up_down"): {"count": (31.7, 80.9), "phase": (29.4, 76.0), "full": (95.7, 87.8)},
    ("lstm_128", "same_object", "up_up"): {"demo_count": (49.1, 71.3), "resp_count": (32.2, 81.0)},
    ("lstm_128", "single_object", "up_down"): {"count": (82.5, 90.6), "phase": (79.1, 94.7), "full": (99.5, 93.8)},
    ("lstm_128", "single_object", "up_up"): {"demo_count": (20.0, 73.1), "resp_count": (14.6, 77.9)},
    ("transformer_128", "multi_object", "up_down"): {
        "count": (13.2, 13.4),
        "phase": (76.5, 79.5),
        "full": (15.5, 15.6),
    },
    ("transformer_128", "multi_object", "up_up"): {"demo_count": (7.4, 22.3), "resp_count": (29.9, 32.2)},
    ("transformer_128", "multi_object", "ctx_distr"): {"value": (99.9, 99.9)},
    ("transformer_128", "same_object", "up_down"): {"count": (8.4, 9.1), "phase": (52.6, 50.9), "full": (5.3, 6.3)},
    ("transformer_128", "same_object", "up_up"): {"demo_count": (10.0, 12.3), "resp_count": (27.7, 29.1)},
    ("transformer_128", "same_object", "ctx_distr"): {"value": (49.0, 49.0)},
    ("transformer_128", "single_object", "up_down"): {
        "count": (11.4, 11.9),
        "phase": (75.3, 76.8),
        "full": (13.3, 13.9),
    },
    ("transformer_128", "single_object", "up_up"): {"demo_count": (6.6, 22.3), "resp_count": (26.3, 27.8)},
    ("transformer_128", "single_object", "ctx_distr"): {"value": (99.8, 99.7)},
}
"""Rotation and LAF by network, task and program, and variable."""
