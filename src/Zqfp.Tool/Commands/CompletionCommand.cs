using System.CommandLine;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp completion</c>: scripts that let a shell ask this program what could come next.</summary>
internal static class CompletionCommand
{
    /// <summary>
    /// Completes <c>dotnet zqfp</c> and <c>dotnet-zqfp</c>; what else <c>dotnet</c> is asked goes on to <c>dotnet complete</c>. Where
    /// nothing is suggested the shell completes file names.
    /// </summary>
    private const string Bash = """
        # dotnet zqfp: put this line into ~/.bashrc
        #   source <(dotnet zqfp completion bash)
        _zqfp_complete() {
          local line="${COMP_LINE:0:COMP_POINT}" word="${COMP_WORDS[COMP_CWORD]}" rest IFS=$'\n'
          if [[ $line =~ ^[[:space:]]*(dotnet-zqfp|dotnet[[:space:]]+zqfp)[[:space:]](.*)$ ]]; then
            rest="${BASH_REMATCH[2]}"
            COMPREPLY=($(compgen -W "$("${BASH_REMATCH[1]%%[[:space:]]*}" $([[ ${BASH_REMATCH[1]} == dotnet-zqfp ]] || echo zqfp) "[suggest:${#rest}]" "$rest" 2>/dev/null)" -- "$word"))
          else
            COMPREPLY=($(compgen -W "$(dotnet complete --position "$COMP_POINT" "$COMP_LINE" 2>/dev/null)" -- "$word"))
          fi
        }
        complete -o default -F _zqfp_complete dotnet-zqfp dotnet
        """;

    private const string Zsh = """
        # dotnet zqfp: put this line into ~/.zshrc, after compinit
        #   source <(dotnet zqfp completion zsh)
        _zqfp_complete() {
          local line="${(j: :)words[1,CURRENT]}" rest
          local -a found
          if [[ $line == dotnet-zqfp\ * ]]; then
            rest="${line#dotnet-zqfp }"
            found=("${(@f)$(dotnet-zqfp "[suggest:${#rest}]" "$rest" 2>/dev/null)}")
          elif [[ $line == dotnet\ zqfp\ * ]]; then
            rest="${line#dotnet zqfp }"
            found=("${(@f)$(dotnet zqfp "[suggest:${#rest}]" "$rest" 2>/dev/null)}")
          else
            found=("${(@f)$(dotnet complete "$line" 2>/dev/null)}")
          fi
          found=(${found:#})
          if (( ${#found} )); then compadd -a found; else _files; fi
        }
        compdef _zqfp_complete dotnet-zqfp dotnet
        """;

    private const string PowerShell = """
        # dotnet zqfp: put this line into $PROFILE
        #   dotnet zqfp completion pwsh | Out-String | Invoke-Expression
        Register-ArgumentCompleter -Native -CommandName dotnet-zqfp, dotnet -ScriptBlock {
          param($word, $ast, $position)
          $line = $ast.ToString().PadRight($position).Substring(0, $position)
          if ($line -match '^\s*dotnet(-|\s+)zqfp\s(?<rest>.*)$') {
            $rest = $Matches.rest
            $found = dotnet zqfp "[suggest:$($rest.Length)]" "$rest" 2>$null
          } else {
            $found = dotnet complete --position $position "$ast" 2>$null
          }
          $found | Where-Object { $_ -like "$word*" } | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }
        }
        """;

    private static readonly (string Shell, string Script)[] Scripts = [("bash", Bash), ("zsh", Zsh), ("pwsh", PowerShell)];

    public static Command Create()
    {
        var shell = new Argument<string>("SHELL") { Description = "The shell: bash, zsh or pwsh" };
        shell.AcceptOnlyFromAmong([.. Scripts.Select(script => script.Shell)]);
        var command = new Command("completion", "Write a script that completes commands, options and values in a shell") { shell };
        HelpText.Extend(command,
            HelpText.Examples("source <(dotnet zqfp completion bash)", "dotnet zqfp completion pwsh | Out-String | Invoke-Expression"));
        command.SetAction(result =>
        {
            string name = result.GetRequiredValue(shell);
            Console.Out.Write(Scripts.Single(script => script.Shell == name).Script.ReplaceLineEndings("\n") + "\n");
            return ExitCodes.Success;
        });
        return command;
    }
}
