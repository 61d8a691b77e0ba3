"""Completion scripts for bash, zsh and fish, written from the option table.

After the program's name they step aside and let the shell complete that program's own arguments.
"""

from __future__ import annotations

from lxrun.options import FLAG, OPTIONAL, TABLE, VALUE, Option

_SHOWN = tuple(option for option in TABLE if option.group)

# --strace's expressions that are worth offering.
_STRACE = ("trace=file", "trace=process", "trace=desc", "trace=memory", "trace=signal", "trace=network", "trace=all")


def script(shell: str) -> str:
    """The script for `shell`: "bash", "zsh" or "fish"."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _names(option: Option) -> list[str]:
    return [name for name in (option.short, option.long) if name]


def _bash() -> str:
    words, cases = [], []
    for option in _SHOWN:
        words.append(option.long)
        if option.short:
            words.append(option.short)
        if option.takes == VALUE:
            if option.choices:
                reply = f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$cur"))'
            elif option.completes == "directory":
                reply = 'compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur"))'
            elif option.completes == "file":
                reply = 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))'
            else:
                reply = "COMPREPLY=()"
            cases.append(f"        {'|'.join(_names(option))}) {reply}; return ;;")
    valued = "|".join(name for option in _SHOWN if option.takes == VALUE for name in _names(option))
    newline = "\n"
    return f"""\
# bash completion for lxrun: eval "$(lxrun --completion bash)"
_lxrun() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} i word
    # The first word that is neither an option nor an option's value is the program.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        case $word in
        {valued}) ((i++)) ;;
        =) ((i++)) ;;
        --) ((i++)); break ;;
        -*) ;;
        *) break ;;
        esac
    done
    if ((i < COMP_CWORD)); then
        if declare -F _command_offset >/dev/null; then _command_offset $i; else compopt -o default; fi
        return
    fi
    if ((i == COMP_CWORD)); then
        case $cur in
        -*) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$cur")) ;;
        *) compopt -o filenames; COMPREPLY=($(compgen -c -- "$cur") $(compgen -f -- "$cur")) ;;
        esac
        return
    fi
    case $previous in
{newline.join(cases)}
    esac
}}
complete -F _lxrun lxrun
"""


def _zsh() -> str:
    lines = []
    for option in _SHOWN:
        text = option.help.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
        value = ""
        if option.takes != FLAG:
            label = option.metavar.lower().replace(":", "\\:").replace("[", "\\[").replace("]", "\\]")
            if option.choices:
                action = f"({' '.join(option.choices)})"
            elif option.takes == OPTIONAL:
                action = f"({' '.join(_STRACE)})"
            else:
                action = {"directory": "_files -/", "file": "_files"}.get(option.completes, " ")
            value = f":{label}:{action}"
        again = "*" if option.attribute in ("volumes", "env") else ""
        for name in _names(option):
            suffix = ""
            if option.takes == OPTIONAL:
                suffix = "=-"
                value_here = ":" + value
            else:
                value_here = value
                if option.takes == VALUE and name.startswith("--"):
                    suffix = "="
            lines.append(f"    '{again}{name}{suffix}[{text}]{value_here}' \\")
    newline = "\n"
    return f"""\
#compdef lxrun
# zsh completion for lxrun: lxrun --completion zsh > a directory of $fpath, as _lxrun
_lxrun() {{
    _arguments -S -A '-*' \\
{newline.join(lines)}
    '(-):program:_command_names -e' \\
    '*::arguments:_normal'
}}
if [[ $funcstack[1] = _lxrun ]]; then _lxrun "$@"; else compdef _lxrun lxrun; fi
"""


def _fish() -> str:
    lines = [
        "# fish completion for lxrun: lxrun --completion fish | source",
        "complete -c lxrun -e",
        "function __lxrun_options",
        "    set -l words (commandline -opc)[2..]",
        "    while set -q words[1]",
        "        switch $words[1]",
        "            case " + " ".join(name for o in _SHOWN if o.takes == VALUE for name in _names(o)),
        "                set -e words[1]",
        "            case '-*'",
        "            case '*'",
        "                return 1",
        "        end",
        "        set -e words[1]",
        "    end",
        "    return 0",
        "end",
        "complete -c lxrun -n 'not __lxrun_options' -x -a '(__fish_complete_subcommand --fcs-skip=1)'",
        "complete -c lxrun -n __lxrun_options -a '(__fish_complete_command)'",
    ]
    for option in _SHOWN:
        words = ["complete -c lxrun -n __lxrun_options", f"-l {option.long[2:]}"]
        if option.short:
            words.append(f"-s {option.short[1:]}")
        if option.choices:
            words.append(f"-x -a '{' '.join(option.choices)}'")
        elif option.completes == "directory":
            words.append("-x -a '(__fish_complete_directories)'")
        elif option.completes == "file":
            words.append("-r -F")
        elif option.takes == OPTIONAL:
            words.append(f"-a '{' '.join(_STRACE)}'")
        elif option.takes == VALUE:
            words.append("-x")
        text = option.help.replace("\\", "\\\\").replace("'", "\\'")
        lines.append(" ".join([*words, f"-d '{text}'"]))
    return "\n".join(lines) + "\n"
