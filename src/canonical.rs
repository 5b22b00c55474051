//! The one way to write a value as JSON (RFC 8785, JCS): what is hashed into the log, and what an approval covers.
//!
//! An object is written as it comes and put in order where it ends, within one buffer: the log's writer does this
//! for every event and for the object that it is about, so it must cost little more than writing JSON at all.

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use std::{
    cmp::Ordering,
    io::{self, Write},
    ops::Range,
};

/// Up to here every whole number has a double of its own, and is written with all its digits.
const WHOLE_MAX: u64 = 1 << 53;

/// The canonical bytes of `value`.
///
/// # Errors
/// If `value` cannot be written as JSON.
pub fn to_vec(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(1024);
    value.serialize(&mut Serializer::with_formatter(
        &mut out,
        Canonical::default(),
    ))?;
    Ok(out)
}

/// Puts the members of objects in order.
#[derive(Default)]
struct Canonical {
    /// The outermost object as far as it was written; the objects within it are in order already.
    text: Vec<u8>,
    /// Objects that have begun and not ended, outermost first.
    open: Vec<Object>,
    /// Their members, those of the innermost last.
    members: Vec<Member>,
    aside: Vec<u8>,
}

struct Object {
    /// Where its first member begins, after the brace.
    start: usize,
    /// Where its members begin in `Canonical::members`.
    first: usize,
}

struct Member {
    /// The key with its quotes.
    key: Range<usize>,
    /// Where the value ends.
    end: usize,
}

impl Canonical {
    fn write(&mut self, writer: &mut (impl Write + ?Sized), bytes: &[u8]) -> io::Result<()> {
        if self.open.is_empty() {
            writer.write_all(bytes)
        } else {
            self.text.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn whole(
        &mut self,
        writer: &mut (impl Write + ?Sized),
        magnitude: u64,
        negative: bool,
    ) -> io::Result<()> {
        if magnitude > WHOLE_MAX {
            let value = magnitude as f64;
            return self.double(writer, if negative { -value } else { value });
        }
        // By hand: a leaf has many numbers, and `write!` takes several times as long.
        let mut digits = [0; 20];
        let (mut start, mut left) = (digits.len(), magnitude);
        loop {
            start -= 1;
            digits[start] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if negative {
            start -= 1;
            digits[start] = b'-';
        }
        self.write(writer, &digits[start..])
    }

    fn double(&mut self, writer: &mut (impl Write + ?Sized), value: f64) -> io::Result<()> {
        self.write(writer, ecmascript(value).as_bytes())
    }

    /// Puts the members of the object that ends here in order.
    fn sort(&mut self, object: Object) {
        let Object { start, first } = object;
        let (text, members) = (&mut self.text, &mut self.members[first..]);
        if members.is_sorted_by(|a, b| order(&text[a.key.clone()], &text[b.key.clone()]).is_lt()) {
            return;
        }
        members.sort_by(|a, b| order(&text[a.key.clone()], &text[b.key.clone()]));
        self.aside.clear();
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                self.aside.push(b',');
            }
            self.aside
                .extend_from_slice(&text[member.key.start..member.end]);
        }
        text[start..].copy_from_slice(&self.aside);
    }
}

/// A finite double as ECMAScript writes it (`Number::toString`): the fewest digits that are this one, and an exponent
/// only for what is very large or very small.
fn ecmascript(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let sign = if value < 0.0 { "-" } else { "" };
    // The fewest digits, and of two that are equally near the even one, as ECMAScript says; `{:e}` rounds those up.
    let shortest = serde_json::to_string(&value.abs()).expect("a finite number is JSON");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().expect("an exponent is a whole number");
    let (whole, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{rest}");
    let significant = all.trim_start_matches('0');
    // How many digits are before the point.
    let point = (whole.len() + significant.len()) as i32 - all.len() as i32 + exponent;
    let digits = significant.trim_end_matches('0');
    let count = digits.len() as i32;
    match point {
        1..=21 if count <= point => {
            let zeros = "0".repeat((point - count) as usize);
            format!("{sign}{digits}{zeros}")
        }
        1..=21 => {
            let (whole, rest) = digits.split_at(point as usize);
            format!("{sign}{whole}.{rest}")
        }
        -5..=0 => {
            let zeros = "0".repeat(-point as usize);
            format!("{sign}0.{zeros}{digits}")
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{dot}{rest}e{:+}", point - 1)
        }
    }
}

/// The order of two keys as written, quotes and all: by their UTF-16 code units.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    let plain = |key: &[u8]| key.iter().all(|byte| byte.is_ascii() && *byte != b'\\');
    if plain(a) && plain(b) {
        return a[1..a.len() - 1].cmp(&b[1..b.len() - 1]);
    }
    let units = |key: &[u8]| -> Vec<u16> {
        let key: String = serde_json::from_slice(key).expect("it was just written");
        key.encode_utf16().collect()
    };
    units(a).cmp(&units(b))
}

macro_rules! numbers {
    ($($name:ident: $type:ty => |$value:ident| $magnitude:expr, $negative:expr;)*) => {$(
        fn $name<W: ?Sized + Write>(&mut self, writer: &mut W, $value: $type) -> io::Result<()> {
            self.whole(writer, $magnitude, $negative)
        }
    )*};
}

impl Formatter for Canonical {
    numbers! {
        write_i8: i8 => |value| value.unsigned_abs().into(), value < 0;
        write_i16: i16 => |value| value.unsigned_abs().into(), value < 0;
        write_i32: i32 => |value| value.unsigned_abs().into(), value < 0;
        write_i64: i64 => |value| value.unsigned_abs(), value < 0;
        write_u8: u8 => |value| value.into(), false;
        write_u16: u16 => |value| value.into(), false;
        write_u32: u32 => |value| value.into(), false;
        write_u64: u64 => |value| value, false;
    }

    fn write_i128<W: ?Sized + Write>(&mut self, writer: &mut W, value: i128) -> io::Result<()> {
        self.double(writer, value as f64)
    }

    fn write_u128<W: ?Sized + Write>(&mut self, writer: &mut W, value: u128) -> io::Result<()> {
        self.double(writer, value as f64)
    }

    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        self.double(writer, value.into())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        self.double(writer, value)
    }

    fn write_number_str<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        value: &str,
    ) -> io::Result<()> {
        let number = value
            .parse()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.double(writer, number)
    }

    fn write_null<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.write(writer, b"null")
    }

    fn write_bool<W: ?Sized + Write>(&mut self, writer: &mut W, value: bool) -> io::Result<()> {
        self.write(writer, if value { b"true" } else { b"false" })
    }

    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.write(writer, b"\"")
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.write(writer, b"\"")
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.write(writer, fragment.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        let written: &[u8] = match escape {
            CharEscape::Quote => b"\\\"",
            CharEscape::ReverseSolidus => b"\\\\",
            CharEscape::Solidus => b"/",
            CharEscape::Backspace => b"\\b",
            CharEscape::FormFeed => b"\\f",
            CharEscape::LineFeed => b"\\n",
            CharEscape::CarriageReturn => b"\\r",
            CharEscape::Tab => b"\\t",
            CharEscape::AsciiControl(byte) => {
                return self.write(writer, format!("\\u{byte:04x}").as_bytes());
            }
        };
        self.write(writer, written)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.write(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.write(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            self.write(writer, b",")
        }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.text.push(b'{');
        self.open.push(Object {
            start: self.text.len(),
            first: self.members.len(),
        });
        Ok(())
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        if !first {
            self.text.push(b',');
        }
        let start = self.text.len();
        self.members.push(Member {
            key: start..start,
            end: start,
        });
        Ok(())
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        let end = self.text.len();
        if let Some(member) = self.members.last_mut() {
            member.key.end = end;
        }
        Ok(())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.write(writer, b":")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        let end = self.text.len();
        if let Some(member) = self.members.last_mut() {
            member.end = end;
        }
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if let Some(object) = self.open.pop() {
            let first = object.first;
            self.sort(object);
            self.members.truncate(first);
        }
        self.text.push(b'}');
        if self.open.is_empty() {
            writer.write_all(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }

    fn write_raw_fragment<W: ?Sized + Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a text that is JSON already may not be canonical",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Keys that sort otherwise by UTF-8 than by UTF-16, that must be escaped, and that begin alike.
    fn key() -> impl Strategy<Value = String> {
        let odd = [
            "",
            "a",
            "ab",
            "a\"",
            "a\\",
            "\u{e000}",
            "\u{10000}",
            "é",
            "\n",
            "A",
            "a!",
        ];
        prop_oneof![
            proptest::sample::select(odd.map(str::to_owned).to_vec()),
            "[a-z_]{1,6}",
            any::<String>()
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("JSON has neither", |number| number.is_finite())
                .prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec((key(), inner), 0..8)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    #[test]
    fn doubles_are_as_ecmascript_writes_them() {
        for (value, expected) in [
            (-0.0, "0"),
            (1e21, "1e+21"),
            (-1e20, "-100000000000000000000"),
            (1.5e300, "1.5e+300"),
            (123.456, "123.456"),
            (0.000_001, "0.000001"),
            (-1.2e-7, "-1.2e-7"),
            (5e-324, "5e-324"),
            // Halfway between two of as many digits: the even one.
            (3_620_615_330_847_721.0 / 4.0, "905153832711930.2"),
            (3_620_615_330_847_723.0 / 4.0, "905153832711930.8"),
        ] {
            assert_eq!(ecmascript(value), expected);
        }
    }

    proptest! {
        #[test]
        fn every_double_is_what_the_reference_writes(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let expected = serde_json_canonicalizer::to_string(&value).expect("plain data");
            prop_assert_eq!(ecmascript(value), expected);
        }

        #[test]
        fn quarters_are_what_the_reference_writes(quarters in (1_u64 << 51)..(1 << 53)) {
            let value = quarters as f64 / 4.0;
            let expected = serde_json_canonicalizer::to_string(&value).expect("plain data");
            prop_assert_eq!(ecmascript(value), expected);
        }

        #[test]
        fn it_writes_what_the_reference_writes(value in value()) {
            let expected = serde_json_canonicalizer::to_string(&value).expect("plain data");
            let written = String::from_utf8(to_vec(&value).expect("plain data")).expect("UTF-8");
            prop_assert_eq!(written, expected);
        }
    }

    #[test]
    fn members_are_in_the_order_of_their_utf_16_units() {
        let value = json!({"\u{20ac}": 1, "\r": [{"b": {}, "a": 1.5}], "\u{fb33}": 2, "1": 3, "\u{1f600}": 4, "\u{80}": 5, "\u{f6}": 6});
        assert_eq!(
            String::from_utf8(to_vec(&value).unwrap()).unwrap(),
            "{\"\\r\":[{\"a\":1.5,\"b\":{}}],\"1\":3,\"\u{80}\":5,\"\u{f6}\":6,\"\u{20ac}\":1,\"\u{1f600}\":4,\"\u{fb33}\":2}"
        );
    }

    #[test]
    fn a_struct_is_sorted_too() {
        #[derive(Serialize)]
        struct Declared<'a> {
            z: u64,
            a: i8,
            m: Option<&'a str>,
        }
        let bytes = to_vec(&Declared {
            z: WHOLE_MAX,
            a: -7,
            m: Some("é/\u{1}"),
        });
        assert_eq!(
            String::from_utf8(bytes.unwrap()).unwrap(),
            "{\"a\":-7,\"m\":\"é/\\u0001\",\"z\":9007199254740992}"
        );
    }
}
