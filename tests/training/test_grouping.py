import numpy as np

from training.grouping import connected, group_alike, similar_pairs


def test_connected_parts_are_numbered_by_first_member() -> None:
    assert connected(6, [(4, 1), (1, 5), (3, 0)]).tolist() == [0, 1, 2, 0, 1, 1]


def test_similar_pairs_across_blocks(monkeypatch: object) -> None:
    features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float16)
    features[40] = 3 * features[7]
    features[20] = features[7] + np.float16(0.01)
    pairs = similar_pairs(features, 0.99)
    assert {tuple(pair) for pair in pairs.tolist()} == {(7, 20), (7, 40), (20, 40)}


def test_a_group_joins_near_hashes_mirror_images_and_like_features() -> None:
    hashes = np.random.default_rng(1).integers(0, 2**64, (6, 2), dtype=np.uint64)
    hashes[1, 0] = hashes[0, 0] ^ np.uint64(0b111)  # three bits away
    hashes[2, 0] = hashes[1, 1]  # the mirror image of 1
    features = np.eye(6, dtype=np.float16)
    features[5] = features[4]
    assert group_alike(hashes, features).tolist() == [0, 0, 0, 1, 2, 2]
    assert group_alike(hashes, features, cosine=1.1).tolist() == [0, 0, 0, 1, 2, 3]


def test_blank_features_are_like_nothing() -> None:
    assert similar_pairs(np.zeros((3, 4), np.float16), 0.5).tolist() == []
