using System.CommandLine;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp schema</c>: the JSON schema of recipes, for editors.</summary>
internal static class SchemaCommand
{
    public static Command Create()
    {
        var command = new Command("schema", "Print the JSON schema of recipes, for an editor");
        HelpText.Extend(command, HelpText.Examples("dotnet zqfp schema > zqfp.schema.json"));
        command.SetAction(_ =>
        {
            Console.Out.Write(RecipeSchema.Text());
            return ExitCodes.Success;
        });
        return command;
    }
}
