using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Zqfp.Tool;

/// <summary>The JSON schema of recipes, made from <see cref="OptionTable"/>.</summary>
internal static class RecipeSchema
{
    private static readonly JsonSerializerOptions Readable = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The schema's text, with a final end of line.</summary>
    public static string Text()
    {
        var properties = new JsonObject { ["$schema"] = new JsonObject { ["type"] = "string" } };
        foreach (ToolOption option in OptionTable.InRecipes)
        {
            JsonObject property = Property(option);
            property["description"] = option.Help;
            properties[option.Key!] = property;
        }

        var schema = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "ZeroQuantFp recipe",
            ["description"] = "How a model is quantized, measured and judged: for 'dotnet zqfp quantize, plan and gate --recipe FILE' " +
                "and for the metadata Recipe of a ZqfpModel. Paths start at the recipe's folder.",
            ["type"] = "object",
            ["additionalProperties"] = false,
            ["properties"] = properties,
        };
        return schema.ToJsonString(Readable).ReplaceLineEndings("\n") + "\n";
    }

    private static JsonObject Property(ToolOption option) => option.Kind switch
    {
        OptionKind.Flag => Type("boolean"),
        OptionKind.Whole when option.Minimum == int.MinValue => Type("integer"),
        OptionKind.Whole => Type("integer", ("minimum", option.Minimum)),
        OptionKind.Fraction => Type("number", ("minimum", 0), ("maximum", 1)),
        OptionKind.Positive => Type("number", ("exclusiveMinimum", 0)),
        OptionKind.Percentage => Type("string", ("pattern", "^[0-9]+(\\.[0-9]+)?%$")),
        OptionKind.Size => Type("string", ("pattern", "^[0-9]+(\\.[0-9]+)? ?([KMGT]i?)?B?$")),
        OptionKind.Choice => Words(option),
        OptionKind.ChoiceList =>
            new JsonObject { ["anyOf"] = new JsonArray(Words(option), Type("array", ("items", Words(option)), ("minItems", 1))) },
        OptionKind.List or OptionKind.Tasks => Type("array", ("items", Type("string"))),
        OptionKind.Overrides => Type("array", ("items", Type("string", ("pattern", "^.+:[^:]+=[^:]+$")))),
        _ => Type("string"),
    };

    private static JsonObject Type(string name, params (string Key, JsonNode Value)[] more)
    {
        var type = new JsonObject { ["type"] = name };
        foreach ((string key, JsonNode value) in more)
        {
            type[key] = value;
        }

        return type;
    }

    /// <summary>Words that are numbers are numbers in a recipe.</summary>
    private static JsonObject Words(ToolOption option) => new()
    {
        ["enum"] = new JsonArray([.. option.Words.Select(word =>
            int.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) ? (JsonNode)number : word)]),
    };
}
