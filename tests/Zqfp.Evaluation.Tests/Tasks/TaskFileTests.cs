using System.Text.Json;

namespace Zqfp.Evaluation.Tests;

public sealed class TaskFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Built_in_tasks_ask_what_the_harness_asks()
    {
        TaskItem arc = Item("arc_easy", """
            {"question": "What is hot?", "choices": {"text": ["ice", "fire"], "label": ["A", "B"]}, "answerKey": "B"}
            """);
        Assert.Equal(new TaskText("Question: What is hot?\nAnswer:", " fire"), arc.Requests[1]);
        Assert.Equal(1, arc.Target);

        TaskItem piqa = Item("piqa", """{"goal": "Open it.", "sol1": "Push.", "sol2": "Pull.", "label": 0}""");
        Assert.Equal(
            [new TaskText("Question: Open it.\nAnswer:", " Push."), new TaskText("Question: Open it.\nAnswer:", " Pull.")], piqa.Requests);

        TaskItem hellaswag = Item("hellaswag", """
            {"activity_label": "Baking", "ctx_a": "She mixes [header] flour. [title] Then", "ctx_b": "she BAKES",
             "endings": ["it [step] now.", "no."], "label": "1"}
            """);
        Assert.Equal(new TaskText("Baking: She mixes flour.. Then She bakes", " it now."), hellaswag.Requests[0]);
        Assert.Equal(1, hellaswag.Target);

        TaskItem winogrande = Item("winogrande", """
            {"sentence": "The cup fits not in the box as _ is small.", "option1": "the cup", "option2": "the box", "answer": "2"}
            """);
        Assert.Equal(new TaskText("The cup fits not in the box as the box", " is small."), winogrande.Requests[1]);
        Assert.Equal(1, winogrande.Target);

        TaskItem lambada = Item("lambada_openai", """{"text": "She ate a big apple"}""");
        Assert.Equal([new TaskText("She ate a big", " apple")], lambada.Requests);

        Assert.Equal(
            ["arc_challenge", "arc_easy", "hellaswag", "lambada_openai", "piqa", "rolling", "winogrande"], TaskFile.BuiltIn);
    }

    [Theory]
    [InlineData("""{"type": "multiple_choice", "choices": "c", "target": "t"}""", "it names no data")]
    [InlineData("""{"type": "multiple_choice", "data": "d.jsonl", "choices": "c"}""", "it has no 'target'")]
    [InlineData("""{"type": "multiple_choice", "data": "d.jsonl", "target": "t"}""", "it has no 'choices'")]
    [InlineData("""{"type": "loglikelihood", "data": "d.jsonl"}""", "it has no 'continuation'")]
    [InlineData("""{"type": "guess", "data": "d.jsonl"}""", "multiple_choice, loglikelihood and loglikelihood_rolling, not 'guess'")]
    [InlineData("""{"type": "loglikelihood", "data": "d.jsonl", "contxt": "x", "continuation": "y"}""", "Did you mean 'context'?")]
    [InlineData("""{"type": "loglikelihood", "data": "d.jsonl", "continuation": "{{ a"}""", "is no template")]
    [InlineData("""{"type": "loglikelihood", "data": "d.jsonl", "continuation": "y", "replace": [["(", ""]]}""", "cannot be used as a")]
    [InlineData("""{"type": "loglikelihood", "data": "d.jsonl", "continuation": "y", "replace": [["(a)\\1", ""]]}""", "cannot be used")]
    [InlineData("""{"type": "loglikelihood", "data": "d.jsonl", "continuation": 5}""", "'continuation' must be a text")]
    [InlineData("""{"type": "loglikelihood", "data": "d.jsonl", "continuation": "y", "metric": "acc_norm"}""", "its metric is acc")]
    [InlineData("[]", "it must be a JSON object")]
    [InlineData("{", "cannot be used")]
    [InlineData("", "cannot be used")]
    public void A_file_that_is_no_task_is_ZQFP0135_and_says_why(string json, string why)
    {
        string path = Path.Combine(_folder, "mine.json");
        File.WriteAllText(path, json);

        ZqfpException error = Assert.Throws<ZqfpException>(() => TaskFile.Load(path));

        Assert.Equal(("ZQFP0135", path), (error.Code, error.File));
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_task_that_is_not_there_is_ZQFP0135_and_names_those_built_in()
    {
        ZqfpException error = Assert.Throws<ZqfpException>(() => TaskFile.Load("hellaswog=x.jsonl"));

        Assert.Equal("ZQFP0135", error.Code);
        Assert.Contains("piqa", error.Message, StringComparison.Ordinal);
        Assert.Contains("Did you mean 'hellaswag'?", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Data_stands_beside_the_file_or_behind_an_equals_sign()
    {
        string path = Path.Combine(_folder, "mine.json");
        File.WriteAllText(path, """{"type": "loglikelihood", "data": "d.jsonl", "continuation": "y"}""");

        Assert.Equal(Path.Combine(_folder, "d.jsonl"), TaskFile.Load(path).DataPath);
        Assert.Equal("other.jsonl", TaskFile.Load(path + "=other.jsonl").DataPath);
        Assert.Equal("mine", TaskFile.Load(path).Name);
    }

    [Theory]
    [InlineData("""{"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "C"}""", "target 'C' is none of")]
    [InlineData("""{"question": "q", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "A"}""", "it has 1 choices")]
    [InlineData("""{"question": "q", "choices": {"text": ["a", ""], "label": ["A", "B"]}, "answerKey": "A"}""", "it has 1 choices")]
    [InlineData("""{"question": "q", "choices": ["a", "b"], "answerKey": "A"}""", "it has no field 'choices.text'")]
    [InlineData("""{"choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"}""", "question")]
    [InlineData("""{"question": "q", "choices": {"text": "ab", "label": ["A", "B"]}, "answerKey": "A"}""", "is no list of texts")]
    [InlineData("5", "it is no JSON object")]
    [InlineData("{", "does not fit")]
    public void A_line_that_does_not_fit_is_ZQFP0136_and_names_the_line(string line, string why)
    {
        string data = Path.Combine(_folder, "data.jsonl");
        File.WriteAllText(data, """
            {"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"}

            """ + line + "\n");

        ZqfpException error = Assert.Throws<ZqfpException>(() => TaskData.Read(TaskFile.Load($"arc_easy={data}")));

        Assert.Equal(("ZQFP0136", data), (error.Code, error.File));
        Assert.Contains("Line 2", error.Message, StringComparison.Ordinal);
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Data_without_a_question_is_ZQFP0109()
    {
        string data = Path.Combine(_folder, "data.jsonl");
        File.WriteAllText(data, "\n \n");

        Assert.Equal("ZQFP0109", Assert.Throws<ZqfpException>(() => TaskData.Read(TaskFile.Load($"piqa={data}"))).Code);
    }

    private static TaskItem Item(string task, string json)
    {
        using var line = JsonDocument.Parse(json);
        return TaskFile.Load($"{task}=data.jsonl").Item(TaskFields.Of(line.RootElement));
    }
}
