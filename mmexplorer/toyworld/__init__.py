"""A drawn, fully annotated world: scenes, pictures with masks, captions and questions, all from a seed.

It needs numpy and the standard library only and knows nothing of models. The same seed gives the same scene, words
and pixels on every machine: random numbers come from the Mersenne Twister, and pixels from operations that IEEE 754
rounds exactly.
"""
