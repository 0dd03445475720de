using System.Security.Cryptography;
using Zqfp.Tokenizers;

namespace Zqfp.Evaluation;

/// <summary>A task whose questions are tokenized.</summary>
/// <param name="Definition">The task.</param>
/// <param name="Items">Its questions.</param>
/// <param name="Requests">Of each question, of each of its choices, the parts that are scored one by one.</param>
internal sealed record PreparedTask(TaskDefinition Definition, IReadOnlyList<TaskItem> Items, IReadOnlyList<TaskRequest[][]> Requests)
{
    /// <summary>Reads and tokenizes a task.</summary>
    /// <exception cref="ZqfpException">
    /// ZQFP0135, ZQFP0136: the task or its data is wrong. ZQFP01nn: the tokenizer is missing, or cannot be used.
    /// </exception>
    public static PreparedTask Read(string named, MeasureOptions options, CancellationToken cancellation)
    {
        TaskDefinition task = TaskFile.Load(named);
        IReadOnlyList<TaskItem> items = TaskData.Read(task);
        string path = options.TokenizerPath ?? throw new ZqfpException(TextCodes.TokenizerLacks,
            $"Task '{task.Name}' is text, but no tokenizer was given. Name the model's tokenizer.json or tokenizer.model.", task.DataPath);
        var tokenizer = new TextTokenizer(PretrainedTokenizer.Load(path), cancellation);
        TaskRequest[][][] requests = [.. items.Select((item, index) => Tokenize(task, item, index, tokenizer, options))];
        return new PreparedTask(task, items, requests);
    }

    /// <summary>Refuses a model that does not know all tokens asked.</summary>
    /// <exception cref="ZqfpException">ZQFP0112.</exception>
    public void RequireKnown(ModelFacts facts, string? tokenizerPath)
    {
        int stray = facts.Vocabulary is { } known
            ? Every(Requests).SelectMany(request => request.Ids).FirstOrDefault(id => id >= known, -1)
            : -1;
        if (stray >= 0)
        {
            throw new ZqfpException(TextCodes.TokenOutsideVocabulary,
                $"Token {stray} of task '{Definition.Name}' is outside the model's vocabulary of {facts.Vocabulary}. Give the model's own "
                + "tokenizer.", tokenizerPath);
        }
    }

    /// <summary>All requests, in the order of the questions, their choices and these' parts.</summary>
    public IReadOnlyList<TaskRequest> AllRequests => [.. Every(Requests)];

    /// <summary>A hash of what is asked and what is right, equal on every machine.</summary>
    public string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendWindows([[(int)Definition.Kind, Definition.JudgesNormalized ? 1 : 0]]);
        hash.AppendWindows(Items.Select(item => (int[])[item.Target, .. item.Choices.Select(choice => choice.Length)]));
        hash.AppendWindows(AllRequests.Select(request => (int[])[request.Scored, .. request.Ids]));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static IEnumerable<TaskRequest> Every(IEnumerable<TaskRequest[][]> requests) =>
        requests.SelectMany(choices => choices).SelectMany(parts => parts);

    private static TaskRequest[][] Tokenize(TaskDefinition task, TaskItem item, int index, TextTokenizer tokenizer, MeasureOptions options)
    {
        try
        {
            int? beginning = options.Reading.Beginning switch
            {
                BeginningPolicy.None => null,
                BeginningPolicy.Auto => tokenizer.SequenceBeginningId,
                _ => TaskRequest.Prefix(tokenizer),
            };
            return task.Kind == TaskKind.LoglikelihoodRolling
                ? [[.. TaskRequest.Rolling(item.Requests[0].Continuation, tokenizer, options.Window)]]
                : [.. item.Requests.Select(text => (TaskRequest[])[TaskRequest.Of(text, tokenizer, options.Window, beginning)])];
        }
        catch (FormatException e)
        {
            throw new ZqfpException("ZQFP0136",
                $"Question {index + 1} of '{task.DataPath}' does not fit task '{task.Name}': {e.Message}.", task.DataPath, e);
        }
    }
}
