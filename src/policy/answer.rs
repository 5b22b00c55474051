//! A value of the rules, read as plain data without JSON in between.

use regorus::Value;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

type Error = serde::de::value::Error;

/// Reads `value`; what does not fit is told as serde does.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    T::deserialize(Answer(value))
}

#[derive(Clone, Copy)]
struct Answer<'a>(&'a Value);

impl<'de> IntoDeserializer<'de, Error> for Answer<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Answer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(yes) => visitor.visit_bool(*yes),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Number(_) => {
                if let Ok(number) = self.0.as_u64() {
                    visitor.visit_u64(number)
                } else if let Ok(number) = self.0.as_i64() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(self.0.as_f64().map_err(Error::custom)?)
                }
            }
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.iter().map(Answer)))
            }
            Value::Set(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.iter_sorted().map(Answer)))
            }
            Value::Object(fields) => {
                let fields = fields.iter_sorted();
                let fields = fields.map(|(name, value)| (Answer(name), Answer(value)));
                visitor.visit_map(MapDeserializer::new(fields))
            }
            Value::Undefined => Err(Error::custom("a part of it is undefined")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => {
                let text: &str = text;
                let word = IntoDeserializer::<Error>::into_deserializer(text);
                word.deserialize_enum(name, variants, visitor)
            }
            _ => Err(Error::custom(format!(
                "expected one of {}",
                variants.join(", ")
            ))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
