//! Freeze windows: times in which nothing rotates by itself.

use crate::domain::Environment;
use chrono::{DateTime, Datelike, Duration, NaiveDate, Timelike, Utc, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::str::FromStr;

/// A time in which nothing rotates by itself. By hand, and for a compromise, it still does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// What people call it.
    pub name: String,
    /// Where; everywhere if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<Environment>,
    /// When it begins; in UTC, as its end.
    pub from: Moment,
    /// When it is over.
    pub until: Moment,
}

/// One end of a freeze window: `2026-12-20T18:00:00Z`, every week `fri 18:00`, or every year `12-20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Once.
    Once(DateTime<Utc>),
    /// Every week: the day, and the minute of it.
    Weekly(Weekday, u32),
    /// Every year: month and day, at midnight. The 29th of February is not accepted.
    Yearly(u32, u32),
}

/// A window of time: from the first to before the second.
pub type When = (DateTime<Utc>, DateTime<Utc>);

/// The longest that a window that comes again may be.
const WEEKLY_MAX: Duration = Duration::days(6);
const YEARLY_MAX: Duration = Duration::days(120);

impl Freeze {
    /// The window around `at`, if it is in one.
    pub fn around(&self, at: DateTime<Utc>) -> Option<When> {
        let window = match (self.from, self.until) {
            (Moment::Once(from), Moment::Once(until)) => (from, until),
            (from, until) => {
                let begun = from.last_before(at)?;
                (begun, until.first_after(begun)?)
            }
        };
        (window.0 <= at && at < window.1).then_some(window)
    }

    /// What is wrong with it, in words.
    pub fn complaint(&self) -> Option<String> {
        let of = |what: &str| Some(format!("the freeze window {} {what}", self.name));
        if self.name.trim().is_empty() || self.name.len() > 64 {
            return Some("a freeze window needs a name of 1 to 64 bytes".into());
        }
        match (self.from, self.until) {
            (Moment::Once(from), Moment::Once(until)) if from < until => None,
            (Moment::Once(_), Moment::Once(_)) => of("ends before it begins"),
            (Moment::Weekly(..), Moment::Weekly(..)) => self.too_long(WEEKLY_MAX).then(|| {
                format!(
                    "the freeze window {} takes more than 6 days of every week",
                    self.name
                )
            }),
            (Moment::Yearly(..), Moment::Yearly(..)) => self.too_long(YEARLY_MAX).then(|| {
                format!(
                    "the freeze window {} takes more than 120 days of every year",
                    self.name
                )
            }),
            _ => {
                of("mixes forms: expected two times, two days of the week, or two days of the year")
            }
        }
    }

    fn too_long(&self, most: Duration) -> bool {
        let somewhen = DateTime::UNIX_EPOCH + Duration::days(1_000);
        let Some(begun) = self.from.last_before(somewhen) else {
            return true;
        };
        self.until
            .first_after(begun)
            .is_none_or(|until| until - begun > most)
    }
}

impl Moment {
    /// The last time that it was, at or before `at`.
    fn last_before(self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Once(time) => Some(time),
            Self::Weekly(day, minute) => {
                let back = at.weekday().days_since(day);
                let time =
                    midnight(at) - Duration::days(back.into()) + Duration::minutes(minute.into());
                Some(if time > at {
                    time - Duration::weeks(1)
                } else {
                    time
                })
            }
            Self::Yearly(month, day) => {
                let this = yearly(at.year(), month, day)?;
                if this > at {
                    yearly(at.year() - 1, month, day)
                } else {
                    Some(this)
                }
            }
        }
    }

    /// The first time that it is, after `at`.
    fn first_after(self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Once(time) => Some(time),
            Self::Weekly(..) => Some(self.last_before(at)? + Duration::weeks(1)),
            Self::Yearly(month, day) => {
                let last = self.last_before(at)?;
                yearly(last.year() + 1, month, day)
            }
        }
    }
}

fn midnight(at: DateTime<Utc>) -> DateTime<Utc> {
    at - Duration::seconds(at.num_seconds_from_midnight().into())
        - Duration::nanoseconds(at.nanosecond().into())
}

fn yearly(year: i32, month: u32, day: u32) -> Option<DateTime<Utc>> {
    Some(
        NaiveDate::from_ymd_opt(year, month, day)?
            .and_hms_opt(0, 0, 0)?
            .and_utc(),
    )
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Once(time) => {
                f.write_str(&time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
            }
            Self::Weekly(day, minute) => write!(
                f,
                "{} {:02}:{:02}",
                day.to_string().to_ascii_lowercase(),
                minute / 60,
                minute % 60
            ),
            Self::Yearly(month, day) => write!(f, "{month:02}-{day:02}"),
        }
    }
}

impl FromStr for Moment {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = || {
            format!(
                "{text:?}: expected a time (2026-12-20T18:00:00Z), a day of the week (fri 18:00) or of the year (12-20)"
            )
        };
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Once(time.to_utc()));
        }
        let pair = |text: &str, at: char| {
            let (first, second) = text.split_once(at)?;
            let plain = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            (plain(first) && plain(second))
                .then(|| Some((first.parse().ok()?, second.parse().ok()?)))
                .flatten()
        };
        if let Some((month, day)) = pair(text, '-') {
            // In every year, so not the 29th of February.
            return yearly(2027, month, day)
                .map(|_| Self::Yearly(month, day))
                .ok_or_else(wanted);
        }
        let (day, time) = text.split_once(' ').ok_or_else(wanted)?;
        let (hour, minute): (u32, u32) = pair(time, ':').ok_or_else(wanted)?;
        let day: Weekday = day.parse().map_err(|_| wanted())?;
        if hour > 23 || minute > 59 {
            return Err(wanted());
        }
        Ok(Self::Weekly(day, hour * 60 + minute))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freeze(from: &str, until: &str) -> Freeze {
        Freeze {
            name: "quiet".into(),
            environments: Vec::new(),
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn windows_come_again() {
        let weekend = freeze("fri 16:00", "mon 06:00");
        let window = (at("2026-11-27T16:00:00Z"), at("2026-11-30T06:00:00Z"));
        for inside in [
            "2026-11-27T16:00:00Z",
            "2026-11-29T12:00:00Z",
            "2026-11-30T05:59:59Z",
        ] {
            assert_eq!(weekend.around(at(inside)), Some(window), "{inside}");
        }
        for outside in [
            "2026-11-27T15:59:59Z",
            "2026-11-30T06:00:00Z",
            "2026-12-02T00:00:00Z",
        ] {
            assert_eq!(weekend.around(at(outside)), None, "{outside}");
        }
        let year_end = freeze("12-20", "01-04");
        let window = (at("2026-12-20T00:00:00Z"), at("2027-01-04T00:00:00Z"));
        assert_eq!(year_end.around(at("2026-12-31T23:00:00Z")), Some(window));
        assert_eq!(year_end.around(at("2027-01-03T23:00:00Z")), Some(window));
        assert_eq!(year_end.around(at("2027-01-04T00:00:00Z")), None);
        let once = freeze("2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z");
        assert!(once.around(at("2026-11-27T10:00:00Z")).is_some());
        assert!(once.around(at("2027-11-27T10:00:00Z")).is_none());
    }

    #[test]
    fn what_would_freeze_for_ever_is_refused() {
        assert_eq!(freeze("fri 16:00", "mon 06:00").complaint(), None);
        for (from, until) in [
            ("mon 00:00", "mon 00:00"),
            ("mon 06:00", "mon 05:00"),
            ("01-01", "12-31"),
            ("12-20", "mon 06:00"),
            ("2026-11-28T00:00:00Z", "2026-11-27T00:00:00Z"),
        ] {
            assert!(freeze(from, until).complaint().is_some(), "{from} {until}");
        }
        for wrong in ["02-29", "13-01", "fri 24:00", "someday", "friday", "1-1"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }
}
