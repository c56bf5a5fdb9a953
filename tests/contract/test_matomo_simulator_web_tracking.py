"""Hits on the simulated web site: stored, told again in order, counted in reports; and the trouble a test orders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.simulator import Faults
from matokit_pipelines.simulator.matomo_tracking_trouble import TrackingTrouble
from tests.contract.matomo_web_asking import END, Asking, asking

TODAY = {"period": "day", "date": "today"}
VISITOR = "0123456789abcdef"
PAGE = "https://get.example.org/pricing"


def row_of(rows: list[dict[str, Any]], label: str) -> dict[str, Any]:
    return next((row for row in rows if row["label"] == label), {})


def test_a_page_view_an_event_and_a_goal_appear_in_the_reports() -> None:
    with asking() as ask:
        before = ask("VisitsSummary.get", **TODAY), ask("Goals.get", idGoal=3, **TODAY)
        view = {"url": PAGE, "action_name": "Prices", "_id": VISITOR, "pv_id": "abc123"}
        view |= {"urlref": "https://www.linkedin.com/feed"}
        assert ask.track(**view).status_code == 204
        assert ask.track(_id=VISITOR, url=PAGE, e_c="Plan", e_a="picked", e_n="gold", e_v=12).status_code == 204
        assert ask.track(_id=VISITOR, url=PAGE, idgoal=3, revenue=7.5).status_code == 204
        after = ask("VisitsSummary.get", **TODAY), ask("Goals.get", idGoal=3, **TODAY)
        assert after[0]["nb_visits"] == before[0]["nb_visits"] + 1
        assert after[0]["nb_actions"] == before[0]["nb_actions"] + 2
        assert after[0]["nb_visits_converted"] == before[0]["nb_visits_converted"] + 1
        assert after[1]["revenue"] == before[1]["revenue"] + 7.5
        page = row_of(ask("Actions.getPageUrls", flat=1, filter_limit=-1, **TODAY), "/pricing")
        assert (page["nb_hits"], page["nb_hits_with_time_server"], page["min_time_server"]) == (1, "0", None)
        assert row_of(ask("Events.getName", filter_limit=-1, **TODAY), "gold")["sum_event_value"] == 12
        visit = ask("Live.getLastVisitsDetails", filter_limit=1)[0]
        assert (visit["visitorId"], visit["referrerName"]) == (VISITOR, "LinkedIn")
        assert [row["type"] for row in visit["actionDetails"]] == ["action", "event", "goal"]


def test_hits_are_told_again_in_order_with_their_fields_and_without_token() -> None:
    with asking() as ask:
        for number in range(3):
            ask.track(
                _id=VISITOR, url=f"{PAGE}?n={number}", cdt=int(END.timestamp()) - 60 + number, token_auth="x" * 32
            )
        requests.post(
            ask.sim.url + "/matomo.php",
            json={
                "requests": ["?idsite=1&rec=1&e_c=Installer&e_a=Event", "?idsite=2&rec=1&url=https://get.example.org"]
            },
            timeout=5,
        )
        assert [hit["url"] for hit in ask.sim.tracked[:3]] == [f"{PAGE}?n={number}" for number in range(3)]
        assert ask.sim.tracked[0] == {
            "idsite": "2", "rec": "1", "apiv": "1", "send_image": "0", "_id": VISITOR, "url": f"{PAGE}?n=0",
            "cdt": str(int(END.timestamp()) - 60),
        }  # fmt: skip
        assert [hit["idsite"] for hit in ask.sim.tracked[3:]] == ["1", "2"]


@pytest.mark.parametrize(
    "wrong", [{"idsite": 9}, {"cid": "xyz"}, {"cdt": "2026-11-01 12:00:00"}, {"cip": "1.2.3.4"}, {"rec": 0}]
)
def test_what_is_not_stored_is_not_told(wrong: dict[str, Any]) -> None:
    with asking() as ask:
        answer = ask.track(url=PAGE, **wrong)
        assert answer.status_code == (204 if "rec" in wrong else 400)
        assert ask.sim.tracked == []


@pytest.mark.parametrize(
    "text", ["2026-11-22T13:30:05Z", "2026-11-22 13:30:05", "2026-11-22T14:30:05+01:00", "1795354205"]
)
def test_the_time_of_a_hit_is_read_in_every_form(text: str) -> None:
    with asking() as ask:
        ask.track(url=PAGE, _id=VISITOR, cdt=text)
        rows = ask("Live.getLastVisitsDetails", segment=f"visitorId=={VISITOR}")
        assert [row["lastActionDateTime"] for row in rows] == ["2026-11-22 13:30:05"]


@pytest.mark.parametrize(
    ("hit", "type_", "name"),
    [
        ({"url": PAGE + "?utm_campaign=Spring"}, "campaign", "spring"),
        ({"url": PAGE, "urlref": "https://www.google.com/search?q=x"}, "search", "Google"),
        ({"url": PAGE, "urlref": "https://t.co/x"}, "social", "Twitter"),
        ({"url": PAGE, "urlref": "https://blog.example.com/a"}, "website", "blog.example.com"),
        ({"url": PAGE, "urlref": "https://get.example.org/"}, "direct", ""),
        ({"url": PAGE}, "direct", ""),
    ],
)
def test_where_a_tracked_visit_came_from(hit: dict[str, str], type_: str, name: str) -> None:
    with asking() as ask:
        ask.track(_id=VISITOR, **hit)
        visit = ask("Live.getLastVisitsDetails", segment=f"visitorId=={VISITOR}")[0]
        assert (visit["referrerType"], visit["referrerName"]) == (type_, name)


def test_goals_by_address_and_by_event_are_reached_as_their_rules_say() -> None:
    with asking() as ask:
        before = [ask("Goals.get", idGoal=goal, **TODAY)["nb_conversions"] for goal in (1, 2, 3)]
        for _ in range(2):
            ask.track(_id=VISITOR, url="https://get.example.org/newsletter/thanks")
            ask.track(_id=VISITOR, url=PAGE, e_c="Form", e_a="contact_sent")
            ask.track(_id=VISITOR, url=PAGE, idgoal=99)
        after = [ask("Goals.get", idGoal=goal, **TODAY)["nb_conversions"] for goal in (1, 2, 3)]
        assert [b - a for a, b in zip(before, after, strict=True)] == [1, 2, 0], (
            "once a visit, or as often as it happens"
        )


def test_an_order_uses_up_the_cart_and_counts_once() -> None:
    def of(ask: Asking, what: str) -> tuple[int, float]:
        answer = ask("Goals.get", idGoal=what, **TODAY)
        return answer["nb_conversions"], round(answer["revenue"], 2)

    with asking() as ask:
        carts, orders = of(ask, "ecommerceAbandonedCart"), of(ask, "ecommerceOrder")
        ask.track(_id=VISITOR, url=PAGE)
        ask.track(_id=VISITOR, url=PAGE, idgoal=0, revenue=20)
        assert of(ask, "ecommerceAbandonedCart") == (carts[0] + 1, round(carts[1] + 20, 2))
        for _ in range(2):
            ask.track(_id=VISITOR, url=PAGE, idgoal=0, ec_id="A-1", revenue=30, ec_st=20, ec_tx=5, ec_sh=5)
        assert of(ask, "ecommerceAbandonedCart") == carts
        assert of(ask, "ecommerceOrder") == (orders[0] + 1, round(orders[1] + 30, 2))


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_refusals_are_answered_for_the_number_ordered(status: int) -> None:
    with asking() as ask:
        ask.sim.tracking_trouble.refuse(2, status, retry_after=7)
        answers = [ask.track(url=PAGE, _id=VISITOR) for _ in range(3)]
        assert [(a.status_code, a.headers.get("Retry-After")) for a in answers] == [(status, "7")] * 2 + [(204, None)]
        assert len(ask.sim.tracked) == 1


@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
def test_connections_break_before_or_after_a_hit_is_stored(when: Any, stored: int) -> None:
    with asking() as ask:
        ask.sim.tracking_trouble.drop(1, when)
        with pytest.raises(requests.ConnectionError):
            ask.track(url=PAGE)
        assert len(ask.sim.tracked) == stored
        assert ask.track(url=PAGE).status_code == 204
        assert len(ask.sim.tracked) == stored + 1


def test_many_at_once_are_all_stored_and_told() -> None:
    with asking() as ask, ThreadPoolExecutor(8) as pool:
        sent = [f"{PAGE}/{number}" for number in range(80)]
        done = [pool.submit(ask.track, url=url, _id=f"{number % 5:016x}") for number, url in enumerate(sent)]
        told = [ask.sim.tracked for _ in range(20)]
        assert all(one.result().status_code == 204 for one in done)
        assert sorted(hit["url"] for hit in ask.sim.tracked) == sorted(sent)
        whole = ask.sim.tracked
        assert all(whole[: len(part)] == part for part in told), "a list handed out does not change"


def test_a_test_can_wait_for_hits() -> None:
    with asking() as ask, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask.sim.wait_for_tracked, 2, 10.0)
        ask.track(url=PAGE)
        assert not waiting.done()
        ask.track(url=PAGE)
        assert waiting.result(timeout=10)
        assert not ask.sim.wait_for_tracked(3, 0.01)


def test_recording_switched_off_stores_nothing() -> None:
    with asking(faults=Faults(recording_off=True)) as ask:
        assert ask.track(url=PAGE).status_code == 204
        assert ask.sim.tracked == []


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([400, 503, "before", "after"]))))
@settings(deadline=None)
def test_trouble_comes_in_the_order_and_number_ordered(orders: list[tuple[int, Any]]) -> None:
    trouble = TrackingTrouble()
    for times, what in orders:
        if isinstance(what, int):
            trouble.refuse(times, what)
        else:
            trouble.drop(times, what)
    wanted = [what for times, what in orders for _ in range(times)]
    assert trouble.left == len(wanted)
    met = [trouble.next() for _ in wanted]
    assert [one.answer.status if one.answer else one.dropped for one in met] == wanted
    assert trouble.next().answer is None
    trouble.refuse(2, 500)
    trouble.clear()
    assert (trouble.left, trouble.next().dropped) == (0, None)
