# What `cargo xtask flake check` asks of a flake: which attributes there are, and of each one what
# becomes of it. Each answer is asked for by a process of its own.
#
# checked: the flake
checked:
let
  inherit (builtins)
    attrNames
    concatMap
    filter
    foldl'
    getContext
    head
    isAttrs
    isFunction
    isPath
    isString
    length
    pathExists
    tryEval
    typeOf
    ;

  outputs = checked.outputs;

  at = path: foldl' (value: name: value.${name}) outputs path;

  # Rows for what is below an output. A set whose names cannot be told is a row of its own, which
  # fails with Nix's own words.
  below =
    path: rows:
    let
      tried = tryEval (attrNames (at path));
    in
    if tried.success then
      concatMap (name: rows (path ++ [ name ])) tried.value
    else
      [ { inherit path; kind = "set"; } ];

  row = kind: path: [ { inherit kind path; } ];
  each = kind: path: below path (row kind);
  eachOfSystem = kind: path: below path (each kind);

  # The attributes below each output that flakes have by custom.
  outputKinds = {
    apps = eachOfSystem "app";
    checks = eachOfSystem "derivation";
    colmenaHive = path: below (path ++ [ "nodes" ]) (row "nixos");
    darwinConfigurations = each "darwin";
    darwinModules = each "module";
    deploy =
      path: below (path ++ [ "nodes" ]) (node: below (node ++ [ "profiles" ]) (row "deployment"));
    devShells = eachOfSystem "derivation";
    flakeModules = each "module";
    formatter = each "derivation";
    homeConfigurations = each "home";
    homeManagerModules = each "module";
    homeModules = each "module";
    hydraJobs = row "jobs";
    images = row "jobs";
    legacyPackages = each "set";
    lib = each "value";
    modules = path: below path (each "module");
    nixosConfigurations = each "nixos";
    nixosModules = each "module";
    overlays = each "overlay";
    packages = eachOfSystem "derivation";
    templates = each "template";
  };

  # Hydra and nix-env are told by this name where to look.
  isJob = row: builtins.elemAt row.path (length row.path - 1) != "recurseForDerivations";

  isDerivation = value: isAttrs value && value.type or null == "derivation";

  is = what: { inherit what; };

  derivation =
    value:
    if isDerivation value then
      {
        what = "derivation";
        derivation = value.drvPath;
        system = value.system or null;
      }
    else
      throw "is of type ${typeOf value}, and not a derivation";

  # What a row is, by its kind: functions of its value and its path.
  answers = {
    inherit derivation;
    nixos = system: derivation system.config.system.build.toplevel;
    darwin = system: derivation system.config.system.build.toplevel;
    home = home: derivation home.activationPackage;
    deployment = profile: derivation profile.path;

    app =
      app:
      let
        programs = attrNames (getContext app.program);
      in
      if app.type or null != "app" then
        throw "is not an app: its type is not \"app\""
      else if !isString app.program then
        throw "is not an app: its program is not a string"
      else
        is "app" // { derivation = if programs == [ ] then null else head programs; };

    module =
      value:
      let
        module = if isPath value || isString value then import value else value;
      in
      if isFunction module || isAttrs module then
        is "module"
      else
        throw "is of type ${typeOf module}, and not a module";

    overlay =
      overlay:
      if isFunction overlay && isFunction (overlay { }) then
        is "overlay"
      else
        throw "is not an overlay: not a function of two arguments";

    template =
      template:
      if !isString template.description then
        throw "is not a template: its description is not a string"
      else if !pathExists template.path then
        throw "is not a template: there is no ${toString template.path}"
      else
        is "template";

    set = set: is "${toString (length (attrNames set))} names";
    value = value: is (typeOf value);
  };
in
{
  # What there is before anything is evaluated.
  about = {
    outputs = attrNames outputs;
    # Stand-ins for the real thing say so themselves.
    standIns = filter (
      name:
      let
        tried = tryEval (checked.inputs.${name}.isStandIn or false);
      in
      tried.success && tried.value
    ) (attrNames checked.inputs);
    nixpkgs =
      let
        tried = tryEval (checked.inputs.nixpkgs.lib.version or null);
      in
      if tried.success then tried.value else null;
  };

  # The rows of one output.
  rows = name: (outputKinds.${name} or (row "value")) [ name ];

  answer =
    kind: path:
    let
      value = at path;
    in
    if kind != "jobs" then
      answers.${kind} value
    else if isDerivation value then
      derivation value
    else if isAttrs value then
      is "jobs" // { rows = filter isJob (each "jobs" path); }
    else
      throw "is of type ${typeOf value}, and not a derivation";
}
