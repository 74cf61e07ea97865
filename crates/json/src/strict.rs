//! A wrapper around everything that serde passes between a type and `serde_json`. It passes all
//! of it on, with three differences:
//!
//! - a struct is read from an object alone ([`Struct`]), so the code for arrays is never made;
//! - a name is compared with a type's fields in one place ([`Name`]), whether it is borrowed or not;
//! - it notes where an error comes out of ([`noting`]).

use std::{cell::Cell, fmt};

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// Where an error came out of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Origin {
    /// The number of objects and arrays that the value at fault is in.
    pub(crate) depth: usize,
    /// `serde_json` finds the place of an error that has none when it leaves the object or array.
    /// Of an array it has then read the comma behind the element.
    pub(crate) is_before_comma: bool,
}

thread_local! {
    /// Of the present error. It is here, because a reference in each wrapper would make all code
    /// that reads larger.
    static ORIGIN: Cell<Origin> = const { Cell::new(Origin { depth: 0, is_before_comma: false }) };
}

/// Reads, and returns with it where an error came out of, if there is one.
pub(crate) fn noting<T>(read: impl FnOnce() -> T) -> (T, Origin) {
    // A field may itself read a text.
    let outer = ORIGIN.replace(Origin::default());
    let value = read();
    (value, ORIGIN.replace(outer))
}

/// The result of a value within an object.
fn in_object<T, E>(result: Result<T, E>) -> Result<T, E> {
    if result.is_err() {
        came_out(false);
    }
    result
}

/// The result of a value within an array.
fn in_array<T, E: fmt::Display>(result: Result<T, E>) -> Result<T, E> {
    if let Err(error) = &result {
        came_out(!has_place(error));
    }
    result
}

#[cold]
fn came_out(is_before_comma: bool) {
    let origin = ORIGIN.get();
    let is_before_comma = origin.is_before_comma || is_before_comma;
    ORIGIN.set(Origin { depth: origin.depth + 1, is_before_comma });
}

/// Whether `serde_json` has added the place to an error, which serde hides but from its text.
#[cold]
fn has_place(error: &impl fmt::Display) -> bool {
    error.to_string().contains(" at line ")
}

/// What is wrapped: a deserializer, a visitor, an access or a seed.
pub(crate) struct Strict<T>(pub(crate) T);

/// The visitor of a struct.
struct Struct<V>(V);

/// The visitor of a name.
struct Name<V>(V);

/// Methods of a deserializer that give their visitor one value.
macro_rules! scalars {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(visitor)
        }
    )*};
}

/// Methods of a deserializer that give their visitor something which holds values.
macro_rules! containers {
    ($($method:ident($($name:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($name,)* Strict(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    scalars! {
        deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_unit
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_bytes deserialize_byte_buf deserialize_ignored_any
    }

    containers! {
        deserialize_any()
        deserialize_option()
        deserialize_seq()
        deserialize_map()
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Struct(visitor))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_identifier(Name(visitor))
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Struct<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Strict(fields))
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Name<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    // A borrowed name comes here too. Without the attribute the comparisons would be made twice.
    #[inline(never)]
    fn visit_str<E: Error>(self, name: &str) -> Result<V::Value, E> {
        self.0.visit_str(name)
    }
}

/// Methods of a visitor that take one value.
macro_rules! values {
    ($($method:ident($($type:ty)?))*) => {$(
        values! { @ $method $($type)? }
    )*};
    (@ $method:ident $type:ty) => {
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        }
    };
    (@ $method:ident) => {
        fn $method<E: Error>(self) -> Result<V::Value, E> {
            self.0.$method()
        }
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<V> {
    type Value = V::Value;

    values! {
        visit_none() visit_unit() visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64)
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Strict(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Strict(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Strict(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Strict(fields))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Strict(variant))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(value))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        in_array(self.0.next_element_seed(Strict(seed)))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Strict(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        in_object(self.0.next_value_seed(Strict(seed)))
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<A> {
    type Error = A::Error;
    type Variant = Strict<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0.variant_seed(Strict(seed)).map(|(name, content)| (name, Strict(content)))
    }
}

/// In JSON, a variant with content is an object with one field.
impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        in_object(self.0.newtype_variant_seed(Strict(seed)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        in_object(self.0.tuple_variant(len, Strict(visitor)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        in_object(self.0.struct_variant(fields, Strict(visitor)))
    }
}
