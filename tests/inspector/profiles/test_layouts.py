"""The bundled layouts: what they came from, and that they say of a build what its profile says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector.profiles import layouts
from inspector.profiles import store as profiles
from inspector.profiles.layouts import Build, Candidate, around
from structs.xen import isf
from structs.xen.layout import MEMBERS, Place, StructLayout, isf_types, of_profile
from structs.xen.named import bundled_files
from structs.xen.profile import Profile


def test_the_bundled_profiles_are_among_them_to_the_byte():
    for profile in bundled_files():
        told = of_profile(profiles.by_build_id(profile))
        for struct, known in layouts.bundled().items():
            of_build = [one.layout for one in known if profile in {build.build_id for build in one.builds}]
            for layout in of_build if struct in told else ():
                common = told[struct].members.keys() & layout.members.keys()
                assert {path: layout.members[path] for path in common} == {
                    path: told[struct].members[path] for path in common
                }


def test_each_says_where_it_came_from_and_every_release_since_4_11_is_there():
    builds = {build for known in layouts.bundled().values() for one in known for build in one.builds}
    assert all(build.origin and build.build_id for build in builds)
    assert {build.version[:4] for build in builds} >= {f"4.{minor}" for minor in range(11, 24)}


PLACES = st.builds(
    Place, st.integers(0, 4000), st.sampled_from((1, 2, 4, 8, 16, 64)), bit=st.just(0), bits=st.just(0)
) | st.builds(Place, st.integers(0, 4000), st.just(1), bit=st.integers(0, 3), bits=st.integers(1, 4))
LAYOUTS = st.fixed_dictionaries(
    {},
    optional={
        struct: st.builds(
            StructLayout,
            st.just(struct),
            st.integers(4096, 8192),
            st.dictionaries(st.sampled_from(paths), PLACES, min_size=1),
        )
        for struct, paths in MEMBERS.items()
    },
)


@given(st.lists(LAYOUTS, max_size=4))
def test_what_is_written_is_read_back(known):
    builds = [(Build(f"4.{10 + n}.0", f"{n:02x}", f"origin {n}", n % 2 == 1), one) for n, one in enumerate(known)]
    read = layouts.loads(layouts.dumps(builds))
    assert layouts.by_build(layouts.dumps(builds)) == builds
    for build, one in builds:
        found = {
            struct: candidate.layout
            for struct, candidates in read.items()
            for candidate in candidates
            if build in candidate.builds
        }
        assert found == one


@given(LAYOUTS)
def test_a_profile_of_layouts_is_a_sound_one_and_tells_them(known):
    base, user = isf_types(known.values())
    document = {
        "metadata": {"format": "6.2.0", "xen": {"build_id": "00", "version": "4.20"}},
        "base_types": base,
        "user_types": user,
        "enums": {},
        "symbols": {},
    }
    isf.check(document)
    assert of_profile(Profile(document)) == known


def test_the_releases_beside_one():
    def candidate(*versions: str) -> Candidate:
        return Candidate(StructLayout("vcpu", 8, {}), tuple(Build(version, "00", "") for version in versions))

    old, new, newest = candidate("4.17.5", "4.18.6"), candidate("4.19.6", "4.20.4"), candidate("4.22.0")
    assert around([old, new, newest], "4.20.1") == [new]
    assert around([old, new, newest], "4.21.0") == [new, newest]
    assert around([old, new, newest], "4.18.0") == [old, new]
    assert around([old, new, newest], "4.23-unstable") == [], "of what follows nothing is known"
    assert around([old, new], None) == []
    debug = Candidate(StructLayout("vcpu", 16, {}), (Build("4.22.0", "00", "", own_options=True),))
    assert around([new, newest, debug], "4.22.0") == [newest]
    assert around([new, debug], "4.22.0") == [], "what a debug build has tells nothing of a release's"


def test_what_is_the_same_has_one_name_in_all_versions():
    """So that an old build's vCPU and a newer one's are candidates for the same members."""
    old = next(one for one in layouts.bundled()["vcpu"] if "4.11.4" in {build.version for build in one.builds})
    assert old.layout.members["arch.hvm.vmx.pi_desc"] == Place(1664, 64)
    assert not any("hvm_vcpu" in path for one in layouts.bundled()["vcpu"] for path in one.layout.members)
