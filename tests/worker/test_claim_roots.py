"""Which places claims may name."""

import pytest

from schemas.errors import Code
from worker.claim_roots import ClaimError, Roots
from worker.settings import Settings
from worker.store_uris import normal_place

ROOTS = Roots(
    ["s3://bucket/in", "file:///srv/claims/", "memory://here", "https://store:8080/in"], "claims.roots"
)


@pytest.mark.parametrize(
    ("uri", "root"),
    [
        ("s3://bucket/in/x", "s3://bucket/in"),
        ("s3://bucket/in/a b/ü.bin", "s3://bucket/in"),
        ("file:///srv/claims/2026/x", "file:///srv/claims"),
        ("memory://here/...", "memory://here"),
        ("https://store:8080/in/x", "https://store:8080/in"),
    ],
)
def test_a_place_below_a_root_is_allowed(uri: str, root: str) -> None:
    """Whatever its name."""
    assert ROOTS.of("x", uri) == root


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/in",
        "s3://bucket/in/",
        "s3://bucket/in2/x",
        "s3://bucket/other",
        "S3://bucket/in/x",
        "s3://bucket/in/../out/x",
        "s3://bucket/in/a/../../out/x",
        "s3://bucket/in/./x",
        "s3://bucket/in//x",
        "s3://bucket/in/x/",
        "s3://bucket/in/%2e%2e/x",
        "s3://bucket/in/..\\x",
        "s3://bucket/in/x?versionId=1",
        "s3://bucket/in/x#y",
        "s3://user:password@bucket/in/x",
        "/srv/claims/x",
        "file:/srv/claims/x",
        "file://srv/claims/x",
        "file:///etc/passwd",
        "local:///srv/claims/x",
        "simplecache::s3://bucket/in/x",
        "zip://x::s3://bucket/in/y.zip",
        "s3://bucket/in/x::file:///etc/passwd",
        "https://store:8080.evil.example/in/x",
        "https://169.254.169.254/latest",
        "",
    ],
)
def test_any_other_place_is_refused(uri: str) -> None:
    """The message names the tensor and the setting, and no root."""
    with pytest.raises(ClaimError) as caught:
        ROOTS.of("image", uri)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "'image'" in str(caught.value)
    assert not [word for word in ("bucket", "srv", "password") if word in str(caught.value)]


def test_without_roots_nothing_is_allowed() -> None:
    """The message says which setting would."""
    with pytest.raises(ClaimError, match=r"claims\.roots says which are") as caught:
        Roots([], "claims.roots").of("x", "memory://here/x")

    assert caught.value.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize(
    "root",
    [
        "",
        "/srv",
        "bucket/in",
        "s3:bucket",
        "s3://",
        "file:///",
        "file://srv",
        "local:///srv",
        "s3://bucket/../other",
        "s3://bucket//in",
        "s3://user:password@bucket/in",
        "simplecache::s3://bucket/in",
        "s3://bucket/*",
        "https://store/in?token=1",
    ],
)
def test_what_is_no_root_is_refused(root: str) -> None:
    """Before it can allow more than was meant; what may be a password is not repeated."""
    with pytest.raises(ValueError, match=r"root|folder|place") as caught:
        normal_place(root)

    assert "password" not in str(caught.value).replace("users and passwords", "")


def test_settings_take_roots_and_nothing_else() -> None:
    """A password that stands in one is not repeated."""
    made = Settings(claims={"roots": ["s3://bucket/in/"], "write_root": "file:///srv/out/"})  # type: ignore[arg-type]
    assert made.claims.roots == ("s3://bucket/in",)
    assert made.claims.write_root == "file:///srv/out"

    for wrong in ({"roots": ["s3:user:pass123@bucket"]}, {"write_root": "s3://user:pass123@bucket/out"}):
        with pytest.raises(ValueError, match="users and passwords") as caught:
            Settings(claims=wrong)  # type: ignore[arg-type]
        assert "pass123" not in str(caught.value)


def test_a_slash_at_the_end_of_a_root_means_nothing() -> None:
    """People write it either way."""
    assert normal_place("s3://bucket/in/") == normal_place("s3://bucket/in")
