//! The names and paths in the syntax of a file.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Item, UseTree, Visibility};

/// Collects the paths in syntax trees, and those in the tokens of macro calls, which are not parsed into trees.
pub(super) struct Paths<'a>(pub(super) &'a mut Vec<Vec<String>>);

impl VisitMut for Paths<'_> {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        if path.leading_colon.is_none() {
            let names = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string());
            self.0.push(names.collect());
        }
        visit_mut::visit_path_mut(self, path);
    }

    fn visit_item_use_mut(&mut self, item: &mut syn::ItemUse) {
        flatten(&item.tree, &mut Vec::new(), &mut |path, _| {
            self.0.push(path)
        });
    }

    fn visit_macro_mut(&mut self, call: &mut syn::Macro) {
        self.visit_path_mut(&mut call.path);
        paths_of_tokens(call.tokens.clone(), self.0);
    }

    fn visit_item_macro_mut(&mut self, item: &mut syn::ItemMacro) {
        self.visit_macro_mut(&mut item.mac);
    }

    // `pub(in path)` and `#[path(...)]` import nothing.
    fn visit_visibility_mut(&mut self, _: &mut Visibility) {}
    fn visit_attribute_mut(&mut self, _: &mut Attribute) {}

    fn visit_impl_item_fn_mut(&mut self, item: &mut syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit_mut::visit_impl_item_fn_mut(self, item);
        }
    }

    fn visit_item_mut(&mut self, item: &mut Item) {
        if !is_test(attributes(item)) {
            visit_mut::visit_item_mut(self, item);
        }
    }
}

fn paths_of_tokens(tokens: TokenStream, found: &mut Vec<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    let mut colons = 0;
    let mut is_member = false;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    found.extend((!path.is_empty()).then(|| std::mem::take(&mut path)));
                }
                if !is_member {
                    path.push(ident.to_string());
                }
                (colons, is_member) = (0, false);
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
            other => {
                found.extend((!path.is_empty()).then(|| std::mem::take(&mut path)));
                colons = 0;
                is_member = matches!(&other, TokenTree::Punct(punct) if punct.as_char() == '.');
                if let TokenTree::Group(group) = other {
                    paths_of_tokens(group.stream(), found);
                }
            }
        }
    }
    found.extend((!path.is_empty()).then_some(path));
}

/// Calls `each` with every path of a `use` and the name that it brings into scope.
pub(super) fn flatten(
    tree: &UseTree,
    before: &mut Vec<String>,
    each: &mut impl FnMut(Vec<String>, Option<String>),
) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, each);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, each);
            }
        }
        UseTree::Glob(_) => each(before.clone(), None),
        UseTree::Name(name) if name.ident == "self" => each(before.clone(), before.last().cloned()),
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            each(
                [before.as_slice(), std::slice::from_ref(&name)].concat(),
                Some(name),
            );
        }
        UseTree::Rename(rename) => {
            let mut path = before.clone();
            if rename.ident != "self" {
                path.push(rename.ident.to_string());
            }
            each(path, Some(rename.rename.to_string()));
        }
    }
}

/// Returns true for `#[cfg(test)]` and `#[cfg(all(test, ...))]`.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    let words = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    };
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .map(words)
        .any(|words| words == "test" || words.replace(' ', "").starts_with("all(test,"))
}

pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns the name that an item defines. `None` for modules and imports, which are stored separately.
pub(super) fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
