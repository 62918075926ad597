"""The program that `projection` starts afresh: one UMAP of a file of vectors; prints the seconds, imports included."""

import sys
import time

import numpy as np

from bench.projection import plain

tool, file, found = sys.argv[1:]
vectors = np.load(file)
started = time.perf_counter()
if tool == "project":
    from mmexplorer.explore.projection import project

    coordinates = project(vectors).coordinates
else:
    coordinates = plain(vectors)
print(time.perf_counter() - started)
np.save(found, coordinates)
