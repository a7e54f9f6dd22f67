"""The paper's three tasks on their original data sets: preparation, training, evaluation.

`ravdess`, `mosei` and `ntu` each read the official layout of a data set; `prepared` keeps what was
prepared; `run` trains and scores any of them.
"""
