//! Implementations of poem-openapi's `Type`, with an inline or a named schema.

/// Implements `Type` for a value whose schema is written where it is used.
macro_rules! impl_inline_type {
    ($type:ty, $name:literal, $schema:expr) => {
        $crate::http::extract::schema_type::impl_type!(
            $type,
            $name,
            poem_openapi::registry::MetaSchemaRef::Inline(Box::new($schema)),
            |_registry| {}
        );
    };
}

/// Implements `Type` for a value whose schema has a name in the document.
macro_rules! impl_named_type {
    ($type:ty, $name:literal, $schema:expr) => {
        $crate::http::extract::schema_type::impl_type!(
            $type,
            $name,
            poem_openapi::registry::MetaSchemaRef::Reference($name.to_owned()),
            |registry| registry.create_schema::<Self, _>($name.to_owned(), |_| $schema)
        );
    };
}

macro_rules! impl_type {
    ($type:ty, $name:literal, $schema_ref:expr, |$registry:ident| $register:expr) => {
        impl poem_openapi::types::Type for $type {
            const IS_REQUIRED: bool = true;

            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                $schema_ref
            }

            fn register($registry: &mut poem_openapi::registry::Registry) {
                $register
            }

            fn as_raw_value(&self) -> Option<&Self::RawValueType> {
                Some(self)
            }

            fn raw_element_iter<'a>(
                &'a self,
            ) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
                Box::new(std::iter::once(self))
            }
        }
    };
}
pub(crate) use {impl_inline_type, impl_named_type, impl_type};
