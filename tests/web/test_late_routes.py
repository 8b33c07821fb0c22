"""Routes that are imported at their first request answer as all others do."""

from concurrent.futures import ThreadPoolExecutor

from tests.site import Site


def test_first_requests_of_the_panel_and_the_guide_are_all_answered(sqlite_site: Site) -> None:
    paths = [
        "/admin/login",
        "/admin/users",
        "/admin/nothing",
        "/guide",
        "/guide/frontend",
        "/guide/nothing",
        "/llms.txt",
    ]
    with sqlite_site.client() as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda path: client.get(path).status_code, paths * 3))

    assert answers == [200, 303, 404, 200, 200, 404, 200] * 3
