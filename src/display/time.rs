//! Times, durations and counts as people read them. UTC with a `Z` unless someone asked otherwise.

use chrono::{DateTime, Local, TimeDelta, Utc};

/// How points in time are written; the console's `t` key goes round them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeFormat {
    /// Distance from now: `38m ago`, `in 2h10m`.
    Ago,
    /// Coordinated universal time with a `Z`: the only form that two people on a call can compare.
    #[default]
    Utc,
    /// The operator's own zone, with its offset so that it cannot be mistaken for UTC.
    Local,
}

impl TimeFormat {
    /// The one after this: ago, UTC, local, ago.
    pub fn next(self) -> Self {
        match self {
            Self::Ago => Self::Utc,
            Self::Utc => Self::Local,
            Self::Local => Self::Ago,
        }
    }

    /// `at` seen from `now`: `2026-09-29 13:51:07Z`, `2026-09-29 15:51:07+02:00` or `38m ago`.
    pub fn full(self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        match self {
            Self::Ago => ago(at, now),
            Self::Utc => at.format("%Y-%m-%d %H:%M:%SZ").to_string(),
            Self::Local => at
                .with_timezone(&Local)
                .format("%Y-%m-%d %H:%M:%S%:z")
                .to_string(),
        }
    }

    /// The shortest form that is still plain: the time alone within a day of `now`, else the date (`09-21 14:02Z`).
    pub fn short(self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        let near = (at - now).abs() < TimeDelta::hours(20);
        match (self, near) {
            (Self::Ago, _) => ago(at, now),
            (Self::Utc, true) => at.format("%H:%M:%SZ").to_string(),
            (Self::Utc, false) => at.format("%m-%d %H:%MZ").to_string(),
            (Self::Local, true) => at.with_timezone(&Local).format("%H:%M:%S").to_string(),
            (Self::Local, false) => at.with_timezone(&Local).format("%m-%d %H:%M").to_string(),
        }
    }
}

/// The form for records and scripts, RFC 3339 in UTC with milliseconds: `2026-09-29T13:51:07.000Z`.
pub fn record(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// `38m ago`, `in 2h10m`, `now` within a second.
pub fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let away = at - now;
    match away.num_seconds() {
        0 => "now".to_owned(),
        s if s > 0 => format!("in {}", compact(away)),
        _ => format!("{} ago", compact(away)),
    }
}

/// A countdown that people watch: `17:41` below an hour, `03:10:00` below four days, then `9d12h`.
///
/// The sign is dropped: what is past or to come is the words around it.
pub fn clock(span: TimeDelta) -> String {
    let seconds = span.num_seconds().unsigned_abs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match seconds {
        0..3600 => format!("{minutes:02}:{rest:02}"),
        3600..345_600 => format!("{hours:02}:{minutes:02}:{rest:02}"),
        _ => format!("{}d{:02}h", hours / 24, hours % 24),
    }
}

/// A countdown in a column, always with hours so that rows compare: `00:14:20`, `4d02h`.
pub fn clock_column(span: TimeDelta) -> String {
    let seconds = span.num_seconds().unsigned_abs();
    if seconds < 3600 {
        format!("00:{}", clock(span))
    } else {
        clock(span)
    }
}

/// A span by its two largest parts: `850ms`, `4s`, `3m40s`, `38m`, `4h12m`, `9d12h`. The sign is dropped.
pub fn compact(span: TimeDelta) -> String {
    let seconds = span.num_seconds().unsigned_abs();
    let pair = |large: u64, unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small:02}{small_unit}")
        }
    };
    match seconds {
        0 => match span.num_milliseconds().unsigned_abs() {
            0 => "0s".to_owned(),
            ms => format!("{ms}ms"),
        },
        1..60 => format!("{seconds}s"),
        60..600 => pair(seconds / 60, "m", seconds % 60, "s"),
        600..3600 => format!("{}m", seconds / 60),
        3600..86_400 => pair(seconds / 3600, "h", seconds / 60 % 60, "m"),
        _ => pair(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

/// A count with thousands separators: `918,204`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count in at most four columns: `640`, `1.9k`, `41k`, `2.8M`.
pub fn count_short(n: u64) -> String {
    let scaled = |value: f64, unit: char| {
        if value < 9.95 {
            format!("{value:.1}{unit}")
        } else {
            format!("{value:.0}{unit}")
        }
    };
    match n {
        0..1000 => n.to_string(),
        1000..999_500 => scaled(n as f64 / 1e3, 'k'),
        999_500..999_500_000 => scaled(n as f64 / 1e6, 'M'),
        _ => scaled(n as f64 / 1e9, 'G'),
    }
}

/// A share with one decimal, never rounded up to a false `100.0%` or down to a false `0.0%`.
pub fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).round();
    let tenths = if share < 1.0 {
        tenths.min(999.0)
    } else {
        tenths
    };
    let tenths = if share > 0.0 { tenths.max(1.0) } else { tenths };
    format!("{:.1}%", tenths / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn durations_as_on_the_screens() {
        let clocks = [
            (1061, "17:41"),
            (11_400, "03:10:00"),
            (-820_800, "9d12h"),
            (352_800, "4d02h"),
            (5, "00:05"),
        ];
        for (seconds, shown) in clocks {
            assert_eq!(clock(TimeDelta::seconds(seconds)), shown);
        }
        assert_eq!(clock_column(TimeDelta::seconds(860)), "00:14:20");
        let spans = [
            (0, "0s"),
            (4, "4s"),
            (220, "3m40s"),
            (2280, "38m"),
            (15_120, "4h12m"),
            (820_800, "9d12h"),
            (60, "1m"),
        ];
        for (seconds, shown) in spans {
            assert_eq!(compact(TimeDelta::seconds(seconds)), shown);
        }
        assert_eq!(compact(TimeDelta::milliseconds(184)), "184ms");
    }

    #[test]
    fn times_say_their_zone() {
        let (then, now) = (at("2026-09-29T13:51:07Z"), at("2026-09-29T14:29:08Z"));
        assert_eq!(TimeFormat::Utc.full(then, now), "2026-09-29 13:51:07Z");
        assert_eq!(TimeFormat::Utc.short(then, now), "13:51:07Z");
        assert_eq!(
            TimeFormat::Utc.short(at("2026-09-21T02:00:00Z"), now),
            "09-21 02:00Z"
        );
        assert_eq!(TimeFormat::Ago.short(then, now), "38m ago");
        assert_eq!(ago(now, then), "in 38m");
        assert_eq!(record(then), "2026-09-29T13:51:07.000Z");
        let local: DateTime<Utc> = TimeFormat::Local.full(then, now).parse().unwrap();
        assert_eq!(local, then, "the offset is part of the local form");
        assert_eq!(TimeFormat::Ago.next().next().next(), TimeFormat::Ago);
    }

    #[test]
    fn counts_and_shares() {
        assert_eq!(
            [count(0), count(999), count(918_204), count(1_000_000)],
            ["0", "999", "918,204", "1,000,000"]
        );
        assert_eq!(
            [
                count_short(640),
                count_short(1904),
                count_short(41_000),
                count_short(2_840_000),
                count_short(999_999)
            ],
            ["640", "1.9k", "41k", "2.8M", "1.0M"]
        );
        assert_eq!(
            [
                percent(0.9999),
                percent(1.0),
                percent(0.0001),
                percent(0.451)
            ],
            ["99.9%", "100.0%", "0.1%", "45.1%"]
        );
    }
}
