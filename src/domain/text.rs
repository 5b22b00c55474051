//! Texts that many objects have in common: owners, audiences, scopes. A clone shares its text, and a state holds each
//! one once, however many credentials name it. On the wire and in the log they are plain strings.

use super::Evaluation;
use imbl::OrdSet;
use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

/// A text that is shared, not copied.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(Arc<str>);

/// A list of texts that is shared as a whole.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Texts(Arc<[Text]>);

impl Text {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        *self.0 == **other
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self(text.as_str().into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Texts {
    /// Copies, for the wire.
    pub fn to_strings(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl Deref for Texts {
    type Target = [Text];
    fn deref(&self) -> &[Text] {
        &self.0
    }
}

impl Borrow<[Text]> for Texts {
    fn borrow(&self) -> &[Text] {
        &self.0
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&*self.0).finish()
    }
}

impl<T: Into<Text>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        Self(texts.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Text>> From<Vec<T>> for Texts {
    fn from(texts: Vec<T>) -> Self {
        texts.into_iter().collect()
    }
}

impl<T: Into<Text>, const N: usize> From<[T; N]> for Texts {
    fn from(texts: [T; N]) -> Self {
        texts.into_iter().collect()
    }
}

/// Every shared text once, and every evaluation: policy says the same about most requests, and at length. Which of
/// them are shared is no part of what is so: two pools are always equal.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    texts: OrdSet<Text>,
    lists: OrdSet<Texts>,
    evaluations: OrdSet<Arc<Evaluation>>,
}

impl PartialEq for Pool {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Pool {
    /// `text`, shared with whoever has the same.
    pub(super) fn text(&mut self, text: &Text) -> Text {
        if let Some(held) = self.texts.get(text.as_str()) {
            return held.clone();
        }
        self.texts.insert(text.clone());
        text.clone()
    }

    /// `evaluation`, shared with every request of which policy said the same.
    pub(super) fn evaluation(&mut self, evaluation: &Evaluation) -> Arc<Evaluation> {
        if let Some(held) = self.evaluations.get(evaluation) {
            return Arc::clone(held);
        }
        let evaluation = Arc::new(evaluation.clone());
        self.evaluations.insert(Arc::clone(&evaluation));
        evaluation
    }

    /// `texts`, shared with whoever has the same list.
    pub(super) fn list(&mut self, texts: &Texts) -> Texts {
        if let Some(held) = self.lists.get::<[Text]>(texts) {
            return held.clone();
        }
        let list: Texts = texts.iter().map(|text| self.text(text)).collect();
        self.lists.insert(list.clone());
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_wire_they_are_plain_strings() {
        let texts = Texts::from(["orders:read", "\"quoted\""]);
        let json = r#"["orders:read","\"quoted\""]"#;
        assert_eq!(serde_json::to_string(&texts).unwrap(), json);
        assert_eq!(serde_json::from_str::<Texts>(json).unwrap(), texts);
        let packed = postcard::to_stdvec(&texts).unwrap();
        assert_eq!(packed, postcard::to_stdvec(&texts.to_strings()).unwrap());
        assert_eq!(postcard::from_bytes::<Texts>(&packed).unwrap(), texts);
    }

    #[test]
    fn a_pool_holds_each_text_and_list_once() {
        let mut pool = Pool::default();
        let one = pool.list(&Texts::from(["a", "b"]));
        let other = pool.list(&Texts::from(["a", "b"]));
        assert!(Arc::ptr_eq(&one.0, &other.0));
        let alone = pool.text(&"b".into());
        assert!(Arc::ptr_eq(&alone.0, &one[1].0));
        assert_ne!(pool.list(&Texts::from(["b", "a"])), one);
    }
}
