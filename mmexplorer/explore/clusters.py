"""Groups of near vectors, and words that name them.

scikit-learn and scipy are imported when first used. The module does not know what a row stands for, nor which model
embeds the words.
"""

from collections.abc import Sequence

import numpy as np

from mmexplorer.errors import Refusal
from mmexplorer.explore.nearest import unit_rows

STARTS = 4  # k-means runs from this many starting points, of which the best is kept


def clusters(vectors: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """The number (n,) int64 of each row's cluster: k-means on the rows (n, d) as unit vectors, cluster 0 the largest.

    On unit vectors k-means goes by cosine (Dhillon and Modha 2001, https://doi.org/10.1023/A:1007612920971, who also
    scale the centroids to unit length). Where fewer than count rows differ there are as many clusters as differ.
    Raises Refusal for no rows or numbers that are not finite.
    """
    from sklearn.cluster import KMeans

    rows = unit_rows(vectors)
    if not len(rows):
        raise Refusal("There are no points to group yet.")
    if count < 1:
        raise Refusal(f"Points fall into at least one cluster, not {count}.")
    count = min(int(count), len(np.unique(rows, axis=0)))
    found = KMeans(count, n_init=STARTS, random_state=seed).fit_predict(rows)
    _, first, sizes = np.unique(found, return_index=True, return_counts=True)
    return np.argsort(np.lexsort((first, -sizes)))[found]


def cluster_names(
    vectors: np.ndarray, labels: np.ndarray, words: Sequence[str], word_vectors: np.ndarray
) -> tuple[str, ...]:
    """One of the words for each cluster, in the order of the clusters' numbers: zero-shot names.

    labels (n,) number the clusters of the rows (n, d); word_vectors (w, d) are the words' embeddings. A word fits a
    cluster by how far its cosine with the centroid exceeds its mean over all clusters, so that a word near to every
    picture names none. No word is given twice while there are enough, at the best total fit; beyond that a cluster
    gets the word that fits it best. Raises Refusal for no words.
    """
    from scipy.optimize import linear_sum_assignment

    if not len(words):
        raise Refusal("There are no words to name the clusters by.")
    rows = unit_rows(vectors)
    centroids = unit_rows(np.stack([rows[labels == label].mean(axis=0) for label in np.unique(labels)]))
    cosines = centroids @ unit_rows(word_vectors, "word").T
    fit = cosines - cosines.mean(axis=0) if len(centroids) > 1 else cosines  # one cluster has no others to differ from
    names = fit.argmax(axis=1)
    chosen, distinct = linear_sum_assignment(fit, maximize=True)
    names[chosen] = distinct
    return tuple(words[name] for name in names)
