"""The program that `draw_cost` starts afresh: one drawing in one of the ways; prints its figures as JSON."""

import json
import sys

from bench.draw_ways import TASKS, WAYS, model_of
from bench.peak_memory import with_peak
from mmexplorer import runtime

way, name = sys.argv[1:]
task = TASKS[name]
with model_of(task):
    drawn, peak = with_peak(lambda: WAYS[way](task), runtime.device())
print(json.dumps({"peak": peak, "kept": drawn.kept}))
