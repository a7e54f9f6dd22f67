"""The paper's three networks (Su, Hu, Li, Cao, arXiv 2012.07175, sections 4 and 5).

    ravdess.py   emotion of a speaker: face clip and MFCC
    mosei.py     sentiment of an utterance: face, voice and words
    ntu.py       action: colour video and skeletons

and their branches, each a network of its own (branch.py). Importing this package is cheap; the
live program never does.
"""
