-- What models share. The only place that turns an instant into a day of a zone.

create or replace macro project_date(instant, zone) as cast(timezone(zone, instant) as date);

-- null, never 0, when there are no events
create or replace macro rate(successes, events) as
    case when events > 0 then cast(successes as double) / cast(events as double) end;

-- Wilson score interval at z = 1.96 (Wilson 1927), as statistics.wilson; never beyond the rate itself, whatever the
-- last digit of the arithmetic says
create or replace macro wilson_low(successes, events) as
    case when events > 0 then greatest(0.0, least(
        cast(successes as double) / events,
        (cast(successes as double) / events + 1.96 * 1.96 / (2.0 * events)
            - 1.96 * sqrt((cast(successes as double) / events) * (1.0 - cast(successes as double) / events) / events
                + 1.96 * 1.96 / (4.0 * events * events)))
        / (1.0 + 1.96 * 1.96 / events)))
    end;

create or replace macro wilson_high(successes, events) as
    case when events > 0 then least(1.0, greatest(
        cast(successes as double) / events,
        (cast(successes as double) / events + 1.96 * 1.96 / (2.0 * events)
            + 1.96 * sqrt((cast(successes as double) / events) * (1.0 - cast(successes as double) / events) / events
                + 1.96 * 1.96 / (4.0 * events * events)))
        / (1.0 + 1.96 * 1.96 / events)))
    end;

-- The rows of a report's JSON as a list of (position, entry), the first one at 1.
create or replace macro web_rows(body) as
    list_transform(cast(body as json[]), lambda entry, place: {'position': place, 'entry': entry});

-- Whether a row has nothing to drill down with.
create or replace macro web_is_bare(entry) as
    coalesce(entry ->> 'segment', '') = '' and coalesce(entry ->> 'url', '') = '';

-- The position of the last row of a report whose rows can be drilled down with; null of any other report.
create or replace macro web_last_place(body) as
    case when not web_is_bare(json_extract(body, '$[0]')) then json_array_length(body) end;

-- Whether a row is Matomo's sum of the rows that it did not keep. Its name is in the language of the token's owner; that
-- it is bare and stands last is the same in each.
create or replace macro web_is_others(entry, position, last_place) as
    web_is_bare(entry) and (
        coalesce(entry ->> 'label' = 'Others', false) or coalesce(position = last_place, false)
    );

-- A number as Matomo sends it: as a number in one answer, as text in the next. Null when it is neither.
create or replace macro web_number(sent) as
    case when regexp_full_match(trim(sent), '[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?')
        and isfinite(try_cast(trim(sent) as double)) then try_cast(trim(sent) as double)
    end;

-- A number as text, two decimals at most: 45, 45.7, 45.68.
create or replace macro web_two_decimals(number) as regexp_replace(format('{:.2f}', number), '\.?0+$', '');

-- A share as Matomo writes it, "37%". A bare number is a share up to 1 and per cent above, as shaping.rate has it; null
-- when it is neither.
create or replace macro web_percent(sent) as
    case
        when trim(sent) like '%\%' escape '\' then trim(sent)
        when abs(web_number(sent)) <= 1 then web_two_decimals(web_number(sent) * 100) || '%'
        when web_number(sent) is not null then web_two_decimals(web_number(sent)) || '%'
    end;

-- A JSON object taken apart: `field` holds the named keys as text (null without one), `further` all others as a JSON
-- object, in the order sent.
create or replace macro web_keys(names) as '{"' || array_to_string(names, '": "varchar", "') || '": "varchar"}';
create or replace macro web_taken(sent, names) as {
    'field': json_transform(sent, web_keys(names)),
    'further': cast(json_merge_patch(sent, to_json(json_transform('{}', web_keys(names)))) as varchar)
};
