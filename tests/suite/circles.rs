//! Checks that the files of each crate import each other without cycles.
//!
//! Two files may import each other, for example a parser and its parts. A larger strongly connected component is a
//! fault, because none of its files can be read, tested or moved without the others.
//!
//! An import is a path to an item that another file of the crate defines: in a `use`, an expression, a type, a pattern
//! or the tokens of a macro call. Re-exports do not count as imports, but are followed to the file of the definition.
//! Code under `#[cfg(test)]` is ignored.

mod syntax;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit_mut::VisitMut;
use syn::{Item, Visibility};

use crate::arrows::HOUSE;
use crate::command::{file, folder};
use syntax::{Paths, attributes, flatten, is_test, name};

/// The maximum number of files that may import each other.
const FILES_MAX: usize = 2;
/// The maximum length of a chain of re-exports. Names behind longer chains are not resolved.
const REEXPORTS_MAX: usize = 16;

/// A module. An inline module belongs to the file of the module around it.
#[derive(Debug, Default)]
struct Module {
    file: usize,
    children: BTreeSet<String>,
    items: BTreeSet<String>,
    /// Structs, enums, traits, type aliases and unions.
    types: Vec<String>,
    uses: Vec<Use>,
    /// The paths outside of `use`.
    paths: Vec<Vec<String>>,
}

/// A single name of a `use`.
#[derive(Clone, Debug)]
struct Use {
    path: Vec<String>,
    /// The imported name. `None` for a glob.
    name: Option<String>,
    is_reexport: bool,
}

/// The modules of a crate, by path.
#[derive(Debug, Default)]
struct Crate {
    files: Vec<PathBuf>,
    modules: BTreeMap<Vec<String>, Module>,
}

impl Crate {
    /// Parses the crate at `root`, for example `src/lib.rs`, and all files of its modules.
    fn parse(root: &Path) -> Crate {
        let mut parsed = Crate::default();
        let folder = root.parent().expect("a file has a folder");
        parsed.file(root, folder, Vec::new());
        parsed
    }

    /// Parses one file. `folder` contains the files of its child modules.
    fn file(&mut self, path: &Path, folder: &Path, module: Vec<String>) {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.files.push(path.to_owned());
        self.module(file.items, self.files.len() - 1, folder, module);
    }

    fn module(&mut self, items: Vec<Item>, file: usize, folder: &Path, path: Vec<String>) {
        let mut module = Module {
            file,
            ..Module::default()
        };
        for mut item in items {
            if is_test(attributes(&item)) {
                continue;
            }
            if let Some(name) = name(&item) {
                if !matches!(
                    item,
                    Item::Const(_) | Item::Fn(_) | Item::Macro(_) | Item::Static(_)
                ) {
                    module.types.push(name.clone());
                }
                module.items.insert(name);
            }
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let mut inner = path.clone();
                    inner.push(name.clone());
                    let below = folder.join(&name);
                    match child.content {
                        Some((_, items)) => self.module(items, file, &below, inner),
                        None => self.file(&folder.join(format!("{name}.rs")), &below, inner),
                    }
                    module.children.insert(name);
                }
                Item::Use(item) => {
                    let is_reexport = !matches!(item.vis, Visibility::Inherited);
                    flatten(&item.tree, &mut Vec::new(), &mut |path, name| {
                        module.uses.push(Use {
                            path,
                            name,
                            is_reexport,
                        });
                    });
                }
                ref mut other => Paths(&mut module.paths).visit_item_mut(other),
            }
        }
        self.modules.insert(path, module);
    }

    /// Returns the file that defines the item at `path`, as seen from a module. `None` for modules and for names of
    /// other crates.
    fn definition(&self, module: &[String], path: &[String], depth: usize) -> Option<usize> {
        let mut at = module.to_vec();
        let mut rest = path;
        while let [first, after @ ..] = rest {
            match first.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => {
                    at.pop()?;
                }
                _ => break,
            }
            rest = after;
        }
        let is_relative = rest.len() < path.len();
        while let [name, after @ ..] = rest {
            let here = &self.modules[&at];
            if here.children.contains(name) && !(after.is_empty() && here.items.contains(name)) {
                at.push(name.clone());
                rest = after;
                continue;
            }
            if here.items.contains(name) {
                return Some(here.file);
            }
            if depth == REEXPORTS_MAX {
                return None;
            }
            let named = here
                .uses
                .iter()
                .filter(|import| import.name.as_ref() == Some(name));
            let globs = here.uses.iter().filter(|import| import.name.is_none());
            for import in named.chain(globs) {
                let mut whole = import.path.clone();
                if import.name.is_none() {
                    whole.push(name.clone());
                }
                whole.extend_from_slice(after);
                if let Some(file) = self.definition(&at, &whole, depth + 1) {
                    return Some(file);
                }
            }
            // Either the name of another crate, or a name that a macro defines in a module of this one.
            let is_ours = is_relative || at != module;
            let is_imported = here
                .uses
                .iter()
                .any(|import| import.name.as_ref() == Some(name));
            return (is_ours && !is_imported).then_some(here.file);
        }
        None
    }

    /// Returns the files that each file imports.
    fn imports(&self) -> Vec<BTreeSet<usize>> {
        let mut imports = vec![BTreeSet::new(); self.files.len()];
        for (path, module) in &self.modules {
            let uses = module.uses.iter().filter(|import| !import.is_reexport);
            for import in uses.map(|import| &import.path).chain(&module.paths) {
                if let Some(file) = self.definition(path, import, 0)
                    && file != module.file
                {
                    imports[module.file].insert(file);
                }
            }
        }
        imports
    }

    /// Returns the cycles as sorted paths relative to `src`.
    fn circles(&self, src: &Path) -> Vec<Vec<String>> {
        let mut circles = components(&self.imports());
        circles.retain(|circle| circle.len() > FILES_MAX);
        let named = |circle: Vec<usize>| {
            let mut names: Vec<String> = circle
                .into_iter()
                .map(|file| self.files[file].strip_prefix(src).expect("it is in src"))
                .map(|path| path.to_string_lossy().replace('\\', "/"))
                .collect();
            names.sort();
            names
        };
        circles.into_iter().map(named).collect()
    }
}

/// Returns the strongly connected components of a graph, without single files that do not reach themselves. Plain
/// reachability is fast enough, because a graph has about a hundred files.
fn components(edges: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let reached = |from: usize| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(file) = open.pop() {
            open.extend(edges[file].iter().filter(|next| reached.insert(**next)));
        }
        reached
    };
    let reached: Vec<BTreeSet<usize>> = (0..edges.len()).map(reached).collect();
    let circle = |file: usize| -> Vec<usize> {
        let mutual = reached[file]
            .iter()
            .filter(|other| reached[**other].contains(&file));
        mutual.copied().collect()
    };
    let circles: BTreeSet<Vec<usize>> = (0..edges.len()).map(circle).collect();
    circles
        .into_iter()
        .filter(|circle| !circle.is_empty())
        .collect()
}

/// The library and the binary of a crate, with the folder of their sources. A crate of tests has neither.
fn parsed(folder: &str) -> Vec<(Crate, PathBuf)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join("src");
    let roots = ["lib.rs", "main.rs"].map(|root| src.join(root));
    let roots = roots.iter().filter(|root| root.exists());
    roots
        .map(|root| (Crate::parse(root), src.clone()))
        .collect()
}

/// The types that a crate defines outside of tests, each with its file below `src`.
pub(crate) fn types_of(folder: &str) -> Vec<(String, String)> {
    let mut types = Vec::new();
    for (parsed, src) in parsed(folder) {
        for module in parsed.modules.values() {
            let file = &parsed.files[module.file];
            let file = file.strip_prefix(&src).expect("sources are below `src`");
            let file = file.display().to_string();
            types.extend(module.types.iter().map(|name| (name.clone(), file.clone())));
        }
    }
    types
}

fn circles_of(folder: &str) -> Vec<Vec<String>> {
    let crates = parsed(folder).into_iter();
    crates
        .flat_map(|(parsed, src)| parsed.circles(&src))
        .collect()
}

#[test]
fn no_more_than_two_files_import_each_other() {
    let mut found = Vec::new();
    for (_, folder, _) in HOUSE {
        let circles = circles_of(folder).into_iter();
        found.extend(circles.map(|circle| (folder, circle)));
    }
    assert!(
        found.is_empty(),
        "files that import each other in a circle; move what they share into a file below them: {found:#?}"
    );
}

#[test]
fn the_check_finds_circles_of_three_files_and_no_pairs() {
    let src = folder("circles");
    let files = [
        (
            "lib.rs",
            "mod a; mod b; mod c; mod pair; pub use a::A; use b::B;",
        ),
        // An import through a re-export, one in a type, and one in the tokens of a macro call.
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B(crate::c::C);"),
        (
            "c.rs",
            "pub struct C; fn f() { println!(\"{}\", size_of::<crate::A>()) }",
        ),
        ("pair.rs", "mod other; use other::Other; pub struct Pair;"),
        (
            "pair/other.rs",
            "use super::Pair; pub struct Other; #[cfg(test)] mod tests { use crate::A; }",
        ),
    ];
    std::fs::create_dir(src.join("pair")).expect("the test's folder is empty");
    for (name, text) in files {
        file(&src, name, text);
    }
    let circles = Crate::parse(&src.join("lib.rs")).circles(&src);
    assert_eq!(circles, [["a.rs", "b.rs", "c.rs"]]);
}
