//! Durations: a whole number and its unit.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator};

use super::plain::text;
use crate::schema::text_schema;
use crate::section::{Place, Reader, Section, Setting};

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

impl Setting for Duration {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let wrong = "a duration with its unit is expected, such as `250ms`, `30s`, `15m`, `24h` or `7d`";
        if matches!(place.node.data, crate::tree::Data::Integer(_)) {
            reader.problem(place, format!("a number without a unit: {wrong}"));
            return None;
        }
        let text = text(place, reader)?;
        let duration = parse(text);
        if duration.is_none() {
            reader.problem(place, format!("`{text}` is not a duration: {wrong}"));
        }
        duration
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        text_schema("^[0-9]+(ms|s|m|h|d)$")
    }
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let millis = number.parse::<u64>().ok()?.checked_mul(*factor)?;
    Some(Duration::from_millis(millis))
}

/// A duration as the configuration writes it, in the largest unit that leaves no rest.
fn show(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, factor) = UNITS
        .iter()
        .rev()
        .find(|(_, factor)| millis > 0 && millis.is_multiple_of(*factor))
        .unwrap_or(&UNITS[0]);
    format!("{}{unit}", millis / factor)
}

/// Records a problem unless the duration lies between two others, both included.
pub(crate) fn between(
    section: &Section<'_>,
    key: &str,
    value: Duration,
    (least, most): (Duration, Duration),
    reader: &mut Reader<'_>,
) {
    if !(least..=most).contains(&value) {
        let (value, least, most) = (show(value), show(least), show(most));
        reader.problem(
            &section.place_of(key),
            format!("`{value}` is out of bounds: {least} to {most} is accepted"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_shown() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("15m", 900_000),
            ("36h", 129_600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
        assert_eq!(show(Duration::from_hours(1)), "1h");
        assert_eq!(show(Duration::ZERO), "0ms");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in [
            "",
            "15",
            "m",
            "1.5h",
            "-1s",
            "1 s",
            "1h30m",
            "15M",
            "1w",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(bad), None, "`{bad}`");
        }
        assert_eq!(parse("18446744073709551615d"), None);
    }
}
